// What a panel asks, and what it was told: queries to frames, frames through transformations to series.
import { ApiError, ColumnSeries, query, queryRange, type MatrixSeries, type QueryData } from '../api/client';
import { parseDuration, parseRelative } from '../format/time';
import { number } from '../format/value';
import { withFilters } from './adhoc';
import type * as Expressions from './expression';
import type { Item } from './expression';
import { configFor, titleOf, type Config } from './field';
import { legendOf, type Cell, type Field, type Frame } from './frames';
import { fill, roundInterval, type Scope, type Times } from './interpolate';
import { asks, type Dashboard, type Panel, type Target } from './model';

export interface Context {
  board: Dashboard;
  scope: Scope;
  from: number;
  to: number;
  turn: number;
  utc: boolean;
  onZoom: (from: number, to: number) => void;
  scrapeInterval: number;
  marks: Mark[];
}

// What an annotation says about a moment or, with `to`, a stretch of time.
export interface Mark {
  from: number;
  to?: number;
  color: string;
  title: string;
  text: string;
  panels?: { ids: string[]; except: boolean } | null; // Not on all of them.
}

// One number column of one frame, on the axis of all.
export interface One {
  refId: string;
  name: string;
  metric: Record<string, string>;
  values: (number | null)[];
  config: Config;
  field: Field;
  frame: Frame;
}

export interface Answer {
  times: number[];
  step: number;
  series: One[];
  frames: Frame[];
  histograms: { refId: string; name: string; series: MatrixSeries }[];
  from: number;
  to: number;
  failed: string[];
  notes: string[];
  asked: number;
  exemplars: string; // Of what this expression selects; empty: of nothing.
}

const LONGEST_TAIL = 300;

// The seconds between two points of a panel, and what "$__rate_interval" is there: Grafana's rules. A query's own
// least step stands in for the scrape interval.
export function stepOf(target: Target, panel: Panel, context: Context, points: number, range: number): { step: number; rate: number } {
  const { board, scope, scrapeInterval } = context;
  const times: Times = { from: context.from, to: context.to, step: 1, interval: scrapeInterval };
  const read = (text: string): number => parseDuration(fill(text, board, scope, times, 'text').replace(/^>=?/, '')) || 0;
  const wanted = roundInterval(range / points);
  const plain = Math.max(wanted, read(panel.interval) || scrapeInterval);
  // The step may be named by what it makes.
  const named = /^\$\{?__(rate_)?interval\}?$/.exec(target.interval.trim());
  const own = named ? 0 : read(target.interval);
  const safe = Math.max(range / 11_000, 0.001);
  if (named?.[1]) {
    const rate = Math.max(plain + scrapeInterval, 4 * scrapeInterval, safe);
    return { step: rate, rate };
  }
  const step = Math.max(Math.max(wanted, own || plain) * target.factor, safe);
  const least = named ? step : own || scrapeInterval;
  return { step, rate: Math.max(plain + least, 4 * least) };
}

// A panel may look at another stretch of time than its dashboard: "2h", "now/d", and all of it earlier.
export function rangeOf(panel: Panel, context: Context): [number, number] {
  let { from, to } = context;
  const { board, scope } = context;
  const times: Times = { from, to, step: 1, interval: context.scrapeInterval };
  const text = fill(panel.timeFrom, board, scope, times, 'text').trim();
  if (text !== '') {
    const at = parseRelative(text.startsWith('now') ? text : `now-${text}`, to, false, context.utc);
    if (at !== null && at < to) from = at;
  }
  const shift = fill(panel.timeShift, board, scope, times, 'text').trim().replace(/^-/, '');
  if (shift === '') return [from, to];
  const earlier = [parseRelative(`now-${shift}`, from, false, context.utc), parseRelative(`now-${shift}`, to, true, context.utc)];
  return earlier[0] !== null && earlier[1] !== null && earlier[0] < earlier[1] ? [earlier[0], earlier[1]] : [from, to];
}

interface Part {
  target: Target;
  expr: string;
  legend: string;
  instant: boolean;
  list: MatrixSeries[];
}

async function run(target: Target, context: Context, range: [number, number], { step, rate }: { step: number; rate: number }, local: Record<string, string>, signal: AbortSignal, notes: Set<string>): Promise<Part[]> {
  const { board, scope } = context;
  const times: Times = { from: range[0], to: range[1], step, interval: context.scrapeInterval, rate };
  const expr = withFilters(fill(target.expr, board, scope, times, 'query', local), board, scope);
  const legend = fill(target.legend, board, scope, times, 'text', local);
  const end = Math.floor(range[1] / step + 1e-9) * step;
  const start = Math.floor(range[0] / step + 1e-9) * step;
  const instants = async (at: number): Promise<MatrixSeries[]> => {
    const answer = await query(expr, at, signal);
    answer.warnings.forEach((w) => notes.add(w));
    return asMatrix(answer.data, at);
  };
  const parts: Part[] = [];
  if (target.instant || target.both) parts.push({ target, expr, legend, instant: true, list: await instants(range[1]) });
  if (!target.instant || target.both) {
    const answer = await queryRange(expr, start, end, step, signal);
    answer.warnings.forEach((w) => notes.add(w));
    const list = asMatrix(answer.data, end);
    // Wide steps end before now: the last point says how the step under way stands.
    if (range[1] - end >= 60 && step >= LONGEST_TAIL) append(list, await instants(range[1]));
    parts.push({ target, expr, legend, instant: false, list });
  }
  return parts;
}

function append(list: MatrixSeries[], last: MatrixSeries[]): void {
  const key = (m: Record<string, string>): string => JSON.stringify(Object.entries(m).sort(([a], [b]) => (a < b ? -1 : 1)));
  const by = new Map(list.map((s) => [key(s.metric), s]));
  for (const s of last) {
    const known = by.get(key(s.metric));
    if (!known) list.push(s);
    else list[list.indexOf(known)] = { ...known, metric: known.metric, histograms: known.histograms, values: [...(known.values ?? []), ...(s.values ?? [])] };
  }
}

function asMatrix(data: QueryData, at: number): MatrixSeries[] {
  if (data.resultType === 'matrix') return data.result;
  if (data.resultType === 'vector') return data.result.map((s) => ({ metric: s.metric, values: s.value ? [[at, s.value[1]] as [number, string]] : [], histograms: s.histogram ? [[at, s.histogram[1]]] : undefined }));
  return [{ metric: {}, values: [[at, data.result[1]]] }];
}

function framesOf(parts: Part[]): Frame[] {
  const frames: Frame[] = [];
  const refs = new Set(parts.filter((p) => p.target.format === 'table').map((p) => p.target.refId));
  for (const { target, list, legend, expr } of parts) {
    const refId = target.refId;
    if (target.format === 'table') {
      const labels = [...new Set(list.flatMap((s) => Object.keys(s.metric)))].sort();
      const rows = list.flatMap((s) => (s.values ?? []).map(([t, v]) => ({ s, t, v: number(v) })));
      frames.push({
        refId,
        fields: [
          { name: 'Time', type: 'time', values: rows.map((r) => r.t * 1000) },
          ...labels.map((l): Field => ({ name: l, type: 'string', values: rows.map((r) => r.s.metric[l] ?? '') })),
          { name: refs.size > 1 ? `Value #${refId}` : 'Value', type: 'number', values: rows.map((r) => r.v) },
        ],
      });
      continue;
    }
    if (target.format === 'heatmap' && list.some((s) => s.metric.le !== undefined)) {
      frames.push(...bucketsOf(refId, list, (metric) => legendOf(legend, metric, expr)));
      continue;
    }
    for (const s of list) {
      const { times, values } = pointsOf(s);
      if (values.length === 0 && s.histograms?.length) continue;
      frames.push({ refId, fields: [{ name: 'Time', type: 'time', values: times }, { name: 'Value', type: 'number', labels: s.metric, shown: legendOf(legend, s.metric, expr), values }] });
    }
  }
  return frames;
}

// Cumulative buckets as what each adds to the one below, the lowest first.
function bucketsOf(refId: string, list: MatrixSeries[], named: (metric: Record<string, string>) => string | undefined): Frame[] {
  const bound = (s: MatrixSeries): number => number(s.metric.le ?? 'NaN');
  const groups = new Map<string, MatrixSeries[]>();
  for (const s of list) {
    const { le: _, ...rest } = s.metric;
    const key = JSON.stringify(Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1)));
    groups.set(key, [...(groups.get(key) ?? []), s]);
  }
  return [...groups.values()].flatMap((group) => {
    let below = new Map<number, number>();
    return group.sort((a, b) => bound(a) - bound(b)).map((s): Frame => {
      const { times, values } = pointsOf(s);
      const own = values.map((v, i) => Math.max(0, v - (below.get(times[i]) ?? 0)));
      below = new Map(times.map((t, i) => [t, values[i]]));
      return { refId, fields: [{ name: 'Time', type: 'time', values: times }, { name: 'Value', type: 'number', labels: s.metric, shown: groups.size === 1 ? s.metric.le : named(s.metric), values: own }] };
    });
  });
}

// What a query answered, for an expression: an instant's values are numbers.
function itemsOf(parts: Part[]): Item[] {
  return parts.flatMap((p) => p.list.map((s): Item => {
    const { times, values } = pointsOf(s);
    return { labels: s.metric, times: p.instant ? null : times, values: p.instant ? values.slice(-1) : values };
  })).filter((i) => i.values.length > 0);
}

// Milliseconds and numbers. Times of a step that is no whole number of seconds are rounded to what they are.
function pointsOf(s: MatrixSeries): { times: number[]; values: number[] } {
  const times: number[] = [];
  const values: number[] = [];
  if (s instanceof ColumnSeries) {
    s.column.forEach((v, i) => {
      if (v === null) return;
      times.push(Math.round((s.start + i * s.step) * 1000));
      values.push(v);
    });
  } else {
    for (const [t, v] of s.values ?? []) {
      times.push(Math.round(t * 1000));
      values.push(number(v));
    }
  }
  return { times, values };
}

// Every step of the grid and every moment that a frame names besides: gaps stay gaps.
function axisOf(frames: Frame[], from: number, to: number, step: number): number[] {
  const start = Math.floor(from / step + 1e-9) * step;
  const count = Math.min(12_000, Math.max(1, Math.floor((to - start) / step + 1e-6) + 1));
  const grid = Array.from({ length: count }, (_, i) => Math.round((start + i * step) * 1000) / 1000);
  const have = new Set(grid);
  const more: number[] = [];
  for (const frame of frames) {
    const time = frame.fields.find((f) => f.type === 'time');
    for (const t of time?.values ?? []) {
      const s = Number(t) / 1000;
      if (!have.has(s) && Number.isFinite(s) && have.size < 50_000) {
        have.add(s);
        more.push(s);
      }
    }
  }
  return more.length === 0 ? grid : [...grid, ...more].sort((a, b) => a - b);
}

export function seriesOf(panel: Panel, frames: Frame[], times: number[] | null, named: (config: Config, field: Field, name: string) => string): One[] {
  const place = times === null ? null : new Map(times.map((t, i) => [t, i]));
  return frames.flatMap((frame) => {
    const time = frame.fields.find((f) => f.type === 'time');
    return frame.fields.filter((f) => f.type === 'number' || f.type === 'boolean').map((field): One => {
      const config = configFor(panel, field, frame, frames);
      const numbers = (v: Cell): number | null => (v === null || v === undefined ? null : typeof v === 'boolean' ? Number(v) : (v as number));
      let values = field.values.map(numbers);
      if (place && time) {
        const column = new Array<number | null>(place.size).fill(null);
        time.values.forEach((t, i) => {
          const at = place.get(Number(t) / 1000);
          if (at !== undefined) column[at] = values[i];
        });
        values = column;
      } else if (place) {
        // What has no time stands at the end.
        const column = new Array<number | null>(place.size).fill(null);
        column[place.size - 1] = values[values.length - 1] ?? null;
        values = column;
      }
      return { refId: frame.refId, name: named(config, field, titleOf(field, frame, frames, config)), metric: field.labels ?? {}, values, config, field, frame };
    });
  });
}

// The queries that are asked: what is shown, and what an expression that is shown computes from.
function needed(targets: Target[], needs: typeof Expressions.needs | undefined): Set<Target> {
  const by = new Map(targets.map((t) => [t.refId, t]));
  const out = new Set<Target>();
  const add = (t: Target | undefined): void => {
    if (!t || out.has(t)) return;
    out.add(t);
    if (t.math && needs) for (const ref of needs(t.math)) add(by.get(ref));
  };
  for (const t of targets) if (!t.hide) add(t);
  return out;
}

// Expressions in the order of their need; each is computed once.
function computed(targets: Target[], parts: Map<Target, Part[]>, panel: Panel, context: Context, range: [number, number], local: Record<string, string>, failed: string[], compute: typeof Expressions.compute): Frame[] {
  const by = new Map(targets.map((t) => [t.refId, t]));
  const done = new Map<string, Item[]>();
  const begun = new Set<string>();
  const times: Times = { from: range[0], to: range[1], step: context.scrapeInterval, interval: context.scrapeInterval };
  const say = (text: string): string => fill(text, context.board, context.scope, times, 'text', { ...local, ...Object.fromEntries(targets.map((t) => [t.refId, `\${${t.refId}}`])) });
  const known = (refId: string): Item[] => {
    const have = done.get(refId);
    if (have) return have;
    const t = by.get(refId);
    if (!t) throw new ApiError(`expression: there is no query “${refId}”`, 0);
    if (begun.has(refId)) throw new ApiError(`expression: “${refId}” is computed from itself`, 0);
    begun.add(refId);
    const made = t.math ? compute({ ...t.math, expression: say(String(t.math.expression ?? '')) }, known, { from: range[0] * 1000, to: range[1] * 1000 }, (text) => (parseDuration(say(text)) ?? 0) * 1000) : itemsOf(parts.get(t) ?? []);
    done.set(refId, made);
    return made;
  };
  const tabular = panel.type === 'table';
  return targets.filter((t) => t.math && !t.hide).flatMap((t) => {
    try {
      return known(t.refId).map(({ labels, times: at, values }): Frame => {
        const value: Field = { name: t.refId, type: 'number', labels, values };
        // A number stands at the end of the range where a panel draws over time.
        return { refId: t.refId, fields: at === null && tabular ? [value] : [{ name: 'Time', type: 'time', values: at ?? [range[1] * 1000] }, value] };
      });
    } catch (e) {
      failed.push((e as Error).message);
      return [];
    }
  });
}

export async function ask(panel: Panel, context: Context, width: number, local: Record<string, string>, signal: AbortSignal): Promise<Answer> {
  const [from, to] = rangeOf(panel, context);
  const points = panel.maxDataPoints ?? Math.max(100, Math.min(1500, width));
  const targets = panel.targets.filter(asks);
  const failed: string[] = [];
  const notes = new Set<string>(panel.targets.filter((t) => t.foreign !== '' && !t.hide).map((t) => `Query ${t.refId} asks ${t.foreign}, which is not available here.`));
  // Few dashboards need these: they come when a panel does.
  const expressions = targets.some((t) => t.math) ? await import('./expression') : null;
  const wanted = needed(targets, expressions?.needs);
  const live = targets.filter((t) => !t.math && wanted.has(t));
  const steps = new Map(live.map((t) => [t, stepOf(t, panel, context, points, to - from)]));
  const answers = await Promise.all(
    live.map((t) =>
      run(t, context, [from, to], steps.get(t)!, local, signal, notes).catch((e: Error) => {
        if (signal.aborted) throw e;
        failed.push(e.message);
        return [] as Part[];
      }),
    ),
  );
  if (failed.length > 0 && failed.length === live.length) throw new ApiError(failed[0], 0);
  const parts = new Map(live.map((t, i) => [t, answers[i]]));
  const shown = live.filter((t) => !t.hide);
  const good = shown.flatMap((t) => parts.get(t)!);
  const made = expressions ? computed(targets, parts, panel, context, [from, to], local, failed, expressions.compute) : [];
  const asked = shown.length + targets.filter((t) => t.math && !t.hide).length;
  if (failed.length > 0 && failed.length === asked && made.length === 0 && good.length === 0) throw new ApiError(failed[0], 0);
  let frames = [...framesOf(good), ...made];
  if (panel.transformations.length > 0) frames = (await import('./transform')).transform(frames, panel.transformations.map((t) => ({ ...t, options: filledIn(t.options, context, local) })));
  const step = Math.min(...[...steps.values()].map((s) => s.step), Infinity);
  const fine = Number.isFinite(step) ? step : context.scrapeInterval;
  const timed = [...parts.values()].flat().some((p) => !p.instant);
  const times = timed ? axisOf(frames, from, to, fine) : axisOf(frames, to, to, fine);
  const timesOf: Times = { from, to, step: fine, interval: context.scrapeInterval };
  const named = (config: Config, field: Field, name: string): string =>
    config.displayName ? fill(String(config.displayName), context.board, context.scope, timesOf, 'text', { ...local, ...fieldLocals(field, name) }) : name;
  const histograms = good.flatMap((p) => p.list.filter((s) => s.histograms?.length).map((s) => ({ refId: p.target.refId, name: legendOf(p.legend, s.metric, p.expr) ?? '', series: s })));
  return { times, step: fine, series: seriesOf(panel, frames, timed ? times : null, named), frames, histograms, from, to, failed, notes: [...notes], asked, exemplars: good.filter((p) => p.target.exemplar && !p.instant).map((p) => `(${p.expr})`).join(' or ') };
}

export function fieldLocals(field: Field, name: string): Record<string, string> {
  const out: Record<string, string> = { '__field.name': field.name, '__field.displayName': field.shown ?? name, '__series.name': field.shown ?? name, __series_name: name };
  const labels = Object.entries(field.labels ?? {});
  for (const [k, v] of labels) out[`__field.labels.${k}`] = v;
  out['__field.labels'] = labels.map(([k, v]) => `${k}="${v}"`).join(', ');
  return out;
}

// What the links and names of one row of a table may name: each cell by its column's name, its shown name and its
// place, as it is and as text.
export function rowLocals(frame: Frame, row: number, texts?: string[]): Record<string, string> {
  const out: Record<string, string> = {};
  frame.fields.forEach((f, i) => {
    const cell = String(f.values[row] ?? '');
    for (const name of [f.name, ...(f.shown === undefined ? [] : [f.shown]), String(i)]) {
      const path = `__data.fields.${name}`;
      Object.assign(out, { [path]: cell, [`${path}.text`]: texts?.[i] ?? cell, [`${path}.numeric`]: cell });
    }
    out[`__cell_${i}`] = cell;
    out[`__cell_${i}.text`] = texts?.[i] ?? cell;
  });
  const time = frame.fields.find((f) => f.type === 'time');
  if (time) out['__value.time'] = String(time.values[row] ?? '');
  return out;
}

// Variables inside the options of a transformation.
function filledIn<T>(options: T, context: Context, local: Record<string, string>): T {
  const text = JSON.stringify(options ?? {});
  if (!/\$\{?[a-zA-Z_]|\[\[/.test(text)) return options;
  const times: Times = { from: context.from, to: context.to, step: 1, interval: context.scrapeInterval };
  const walk = (v: unknown): unknown =>
    typeof v === 'string' ? (/\$[a-zA-Z{]|\[\[/.test(v) ? fill(v, context.board, context.scope, times, 'text', local) : v) : Array.isArray(v) ? v.map(walk) : v && typeof v === 'object' ? Object.fromEntries(Object.entries(v).map(([k, x]) => [k, walk(x)])) : v;
  return walk(options) as T;
}
