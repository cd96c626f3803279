// What a panel asks, and what it was told: queries to frames, frames through transformations to series.
import { ApiError, ColumnSeries, query, queryRange, type MatrixSeries, type QueryData } from '../api/client';
import { parseDuration } from '../format/time';
import { number } from '../format/value';
import { withFilters } from './adhoc';
import { configFor, titleOf, type Config } from './field';
import { legendOf, type Cell, type Field, type Frame } from './frames';
import { fill, roundInterval, type Scope, type Times } from './interpolate';
import type { Dashboard, Panel, Target } from './model';
import { transform } from './transform';

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
}

const LONGEST_TAIL = 300;

// The seconds between two points of a panel: Grafana's rule.
export function stepOf(target: Target, panel: Panel, context: Context, points: number, range: number): number {
  const { board, scope } = context;
  const times: Times = { from: context.from, to: context.to, step: 1, interval: context.scrapeInterval };
  const least = parseDuration(fill(target.interval || panel.interval, board, scope, times, 'text').replace(/^>=?/, '')) || context.scrapeInterval;
  return Math.max(Math.max(roundInterval(range / points), least) * target.factor, range / 11_000, 0.001);
}

export function rangeOf(panel: Panel, context: Context): [number, number] {
  let { from, to } = context;
  const { board, scope } = context;
  const times: Times = { from, to, step: 1, interval: context.scrapeInterval };
  const span = parseDuration(fill(panel.timeFrom, board, scope, times, 'text').replace(/^now-/, ''));
  if (span) from = to - span;
  const shift = parseDuration(fill(panel.timeShift, board, scope, times, 'text'));
  return shift ? [from - shift, to - shift] : [from, to];
}

interface Part {
  target: Target;
  expr: string;
  legend: string;
  instant: boolean;
  list: MatrixSeries[];
}

async function run(target: Target, panel: Panel, context: Context, range: [number, number], step: number, local: Record<string, string>, signal: AbortSignal, notes: Set<string>): Promise<Part[]> {
  const { board, scope } = context;
  const times: Times = { from: range[0], to: range[1], step, interval: context.scrapeInterval };
  const expr = withFilters(fill(target.expr, board, scope, times, 'query', local), board, scope);
  const legend = fill(target.legend, board, scope, times, 'text', local);
  const end = Math.floor(range[1] / step + 1e-9) * step;
  const start = Math.floor(range[0] / step + 1e-9) * step;
  const tabular = panel.type === 'table' && target.format === 'table';
  const instants = async (at: number): Promise<MatrixSeries[]> => {
    const answer = await query(expr, at, signal);
    answer.warnings.forEach((w) => notes.add(w));
    return asMatrix(answer.data, at);
  };
  const wantsInstant = target.instant || (tabular && !target.range);
  const parts: Part[] = [];
  if (wantsInstant || target.both) parts.push({ target, expr, legend, instant: true, list: await instants(range[1]) });
  if (!wantsInstant || target.both) {
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
    for (const s of list) {
      const { times, values } = pointsOf(s);
      if (values.length === 0 && s.histograms?.length) continue;
      frames.push({ refId, fields: [{ name: 'Time', type: 'time', values: times }, { name: 'Value', type: 'number', labels: s.metric, shown: legendOf(legend, s.metric, expr), values }] });
    }
  }
  return frames;
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
      }
      return { refId: frame.refId, name: named(config, field, titleOf(field, frame, frames, config)), metric: field.labels ?? {}, values, config, field, frame };
    });
  });
}

export async function ask(panel: Panel, context: Context, width: number, local: Record<string, string>, signal: AbortSignal): Promise<Answer> {
  const [from, to] = rangeOf(panel, context);
  const points = panel.maxDataPoints ?? Math.max(100, Math.min(1500, width));
  const targets = panel.targets.filter((t) => t.expr !== '');
  const failed: string[] = [];
  const notes = new Set<string>();
  const live = targets.filter((t) => !t.hide);
  const steps = new Map(live.map((t) => [t, stepOf(t, panel, context, points, to - from)]));
  const parts = await Promise.all(
    live.map((t) =>
      run(t, panel, context, [from, to], steps.get(t)!, local, signal, notes).catch((e: Error) => {
        if (signal.aborted) throw e;
        failed.push(e.message);
        return [] as Part[];
      }),
    ),
  );
  if (failed.length > 0 && failed.length === live.length) throw new ApiError(failed[0], 0);
  const good = parts.flat();
  const frames = transform(framesOf(good), panel.transformations.map((t) => ({ ...t, options: filledIn(t.options, context, local) })));
  const step = Math.min(...steps.values(), Infinity);
  const fine = Number.isFinite(step) ? step : context.scrapeInterval;
  const timed = good.some((p) => !p.instant);
  const times = timed ? axisOf(frames, from, to, fine) : axisOf(frames, to, to, fine);
  const timesOf: Times = { from, to, step: fine, interval: context.scrapeInterval };
  const named = (config: Config, field: Field, name: string): string =>
    config.displayName ? fill(String(config.displayName), context.board, context.scope, timesOf, 'text', { ...local, ...fieldLocals(field, name) }) : name;
  const histograms = good.flatMap((p) => p.list.filter((s) => s.histograms?.length).map((s) => ({ refId: p.target.refId, name: legendOf(p.legend, s.metric, p.expr) ?? '', series: s })));
  return { times, step: fine, series: seriesOf(panel, frames, timed ? times : null, named), frames, histograms, from, to, failed, notes: [...notes], asked: live.length };
}

export function fieldLocals(field: Field, name: string): Record<string, string> {
  const out: Record<string, string> = { '__field.name': field.name, '__field.displayName': field.shown ?? name, '__series.name': field.shown ?? name, __series_name: name };
  const labels = Object.entries(field.labels ?? {});
  for (const [k, v] of labels) out[`__field.labels.${k}`] = v;
  out['__field.labels'] = labels.map(([k, v]) => `${k}="${v}"`).join(', ');
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
