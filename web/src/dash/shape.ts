// Transformations that make frames of another shape: rows of columns, columns of rows, series of tables.
import { find, held, nameOf, rowsOf, take, withFields, type Cell, type Field, type Frame } from './frames';
import { join } from './join';
import { fieldMatcher } from './matchers';
import type { Json } from './model';
import { reduceCells } from './reduce';

type Operation = (o: Json, frames: Frame[]) => Frame[];

// Text taken apart: JSON (whole or by paths), key=value pairs, a delimiter, or the groups of an expression.
function parserOf(o: Json): (text: string) => Record<string, Cell> {
  const pairs = (text: string): Record<string, Cell> => Object.fromEntries([...text.matchAll(/([^\s=,:"{}]+)\s*[=:]\s*(?:"([^"]*)"|([^\s,}]*))/g)].map((m) => [m[1], m[2] ?? m[3]]));
  const json = (text: string): Record<string, Cell> => {
    try {
      const got = JSON.parse(text);
      if (typeof got !== 'object' || got === null) return {};
      if (!Array.isArray(o.jsonPaths) || o.jsonPaths.length === 0) return got;
      return Object.fromEntries(o.jsonPaths.filter((p: Json) => p?.path).map((p: Json) => [p.alias || p.path, String(p.path).split(/[.[\]]+/).filter(Boolean).reduce((v: Json, key: string) => (v !== null && typeof v === 'object' && Object.hasOwn(v, key) ? v[key] : null), got)]));
    } catch {
      return {};
    }
  };
  switch (o.format) {
    case 'json': return json;
    case 'kvp': return pairs;
    case 'delimiter': return (text) => Object.fromEntries(text.split(o.delimiter || ',').map((part) => [part.trim(), part.trim()]));
    case 'regexp': {
      let re: RegExp;
      try {
        re = new RegExp(String(o.regExp ?? '').replace(/^\/(.*)\/[a-z]*$/s, '$1'));
      } catch {
        return () => ({});
      }
      return (text) => ({ ...re.exec(text)?.groups });
    }
  }
  return (text) => (text.trim().startsWith('{') ? json(text) : pairs(text));
}

export const extractFields: Operation = (o, frames) =>
  frames.map((frame) => {
    const source = find(frame, o.source ?? '', frames);
    if (!source) return frame;
    const parse = parserOf(o);
    const rows = source.type === 'string' ? source.values.map((v) => parse(String(v ?? ''))) : source.labels ? source.values.map(() => source.labels as Record<string, Cell>) : [];
    const names = [...new Set(rows.flatMap((r) => Object.keys(r)))];
    const fields = names.map((name): Field => {
      const values = rows.map((r) => (typeof r[name] === 'object' && r[name] !== null ? JSON.stringify(r[name]) : (r[name] ?? null)));
      return { name, type: values.every((v) => v === null || typeof v === 'number') ? 'number' : 'string', values };
    });
    const kept = o.replace ? (o.keepTime ? frame.fields.filter((f) => f.type === 'time') : []) : frame.fields;
    return withFields(frame, [...kept, ...fields]);
  });

export const rowsToFields: Operation = (o, frames) =>
  frames.flatMap((frame) => {
    const handler = (name: string): string => (o.mappings ?? []).find((m: Json) => m?.fieldName === name)?.handlerKey ?? '';
    const name = frame.fields.find((f) => handler(f.name) === 'field.name') ?? frame.fields.find((f) => f.type === 'string');
    const value = frame.fields.find((f) => handler(f.name) === 'field.value') ?? frame.fields.find((f) => f.type === 'number');
    if (!name || !value) return [frame];
    const rest = frame.fields.filter((f) => f !== name && f !== value);
    return [{
      refId: frame.refId,
      fields: name.values.map((n, i): Field => {
        const config: Json = {};
        for (const f of rest) if (['unit', 'min', 'max', 'decimals', 'color', 'displayName'].includes(handler(f.name) || f.name)) config[handler(f.name) || f.name] = f.values[i];
        const labels = Object.fromEntries(rest.filter((f) => f.type === 'string' && handler(f.name) === '').map((f) => [f.name, String(f.values[i])]));
        return { name: String(n), type: value.type, values: [value.values[i]], config, labels: Object.keys(labels).length > 0 ? labels : undefined };
      }),
    }];
  });

// The values of one query become the limits and units of the others.
export const configFromData: Operation = (o, frames) => {
  const source = frames.find((f) => f.refId === o.configRefId);
  if (!source) return frames;
  const config: Json = {};
  for (const f of source.fields) {
    const m = (o.mappings ?? []).find((x: Json) => x?.fieldName === nameOf(f, source, frames) || x?.fieldName === f.name);
    const key = m?.handlerKey ?? (['min', 'max', 'unit', 'decimals'].includes(f.name.toLowerCase()) ? f.name.toLowerCase() : undefined);
    if (!key || key === '__ignore' || f.type === 'time') continue;
    const v = reduceCells(f.values, m?.reducerId ?? 'lastNotNull');
    if (/^threshold/.test(key)) config.thresholds = { mode: 'absolute', steps: [...(config.thresholds?.steps ?? [{ value: null, color: 'green' }]), { value: v, color: m?.handlerArguments?.threshold?.color ?? 'red' }] };
    else config[key] = v;
  }
  const applied = fieldMatcher(o.applyTo, (f) => f.type === 'number');
  return frames.filter((f) => f !== source).map((frame) => withFields(frame, frame.fields.map((f) => (applied(f, frame, frames) ? { ...f, config: { ...f.config, ...config } } : f))));
};

// One row a series, the series itself in a cell, whose value is a calculation of it.
export const timeSeriesTable: Operation = (o, frames) => {
  const byRef = new Map<string, { f: Field; frame: Frame }[]>();
  for (const frame of frames) for (const f of frame.fields) if (f.type === 'number' && frame.fields.some((x) => x.type === 'time')) byRef.set(frame.refId, [...(byRef.get(frame.refId) ?? []), { f, frame }]);
  return [...byRef].map(([ref, list]): Frame => {
    const names = [...new Set(list.flatMap(({ f }) => Object.keys(f.labels ?? {})))];
    const how = o[ref]?.stat ?? 'lastNotNull';
    const trend = ({ f, frame }: { f: Field; frame: Frame }): Cell => {
      const time = o[ref]?.timeField ? find(frame, String(o[ref].timeField), frames) : frame.fields.find((x) => x.type === 'time');
      return held(Number(reduceCells(f.values, how) ?? NaN), [{ ...frame, fields: time ? [time, f] : [f] }]);
    };
    const label = (n: string): Field => ({ name: n, type: 'string', values: list.map(({ f }) => f.labels?.[n] ?? '') });
    return { refId: ref, fields: [...names.map(label), { name: `Trend #${ref}`, type: 'number', values: list.map(trend), config: list[0].f.config }] };
  });
};

export const partitionByValues: Operation = (o, frames) =>
  frames.flatMap((frame) => {
    const keys = (o.fields ?? []).map((n: string) => find(frame, n, frames)).filter(Boolean) as Field[];
    if (keys.length === 0) return [frame];
    const groups = new Map<string, number[]>();
    for (let i = 0; i < rowsOf(frame); i++) {
      const k = keys.map((f) => String(f.values[i])).join(' ');
      groups.set(k, [...(groups.get(k) ?? []), i]);
    }
    return [...groups].map(([k, list]) => ({ ...take(withFields(frame, o.keepFields ? frame.fields : frame.fields.filter((f) => !keys.includes(f))), list), name: o.naming?.asLabels ? frame.name : k }));
  });

// The columns become rows. A first column of words or times gives the new ones their names, else they are counted.
export const transpose: Operation = (o, frames) =>
  frames.map((frame) => {
    const first = frame.fields[0];
    if (!first) return frame;
    const named = first.type === 'string' || first.type === 'time';
    const rest = named ? frame.fields.slice(1) : frame.fields;
    const none: Cell = o.emptyValue === 'null' ? null : o.emptyValue === 'true' ? true : o.emptyValue === 'false' ? false : o.emptyValue === 'zero' ? 0 : '';
    const text = (v: Cell): Cell => (v === null || v === undefined ? none : String(v));
    const type: Field['type'] = new Set(rest.map((f) => f.type)).size === 1 ? rest[0].type : 'string';
    const name = o.restFieldsName || 'Value';
    return {
      ...frame,
      refId: `transpose-${frame.refId}`,
      fields: [
        { name: o.firstFieldName || 'Field', type: 'string' as const, values: rest.map((f) => nameOf(f, frame, frames)) },
        ...first.values.map((v, i): Field => ({ name, type, labels: named ? { [first.name]: String(text(v)) } : { row: String(i + 1) }, values: rest.map((f) => (type === 'string' ? text(f.values[i]) : f.values[i])) })),
      ],
    };
  });

// In steps that people read; between one and ten there is no 2.5.
const SIZES: number[] = [];
for (let e = -9; e <= 12; e++) for (const m of e === 0 ? [1, 2, 4, 5] : [1, 2, 2.5, 4, 5]) SIZES.push(Number(`${m}e${e}`));

// How many values fall where. Only buckets with something in them are rows.
export const histogram: Operation = (o, frames) => {
  const all = frames.flatMap((frame) => frame.fields.filter((f) => f.type === 'number').map((f) => ({ own: f.name, name: nameOf(f, frame, frames), values: f.values.filter((v): v is number => typeof v === 'number' && Number.isFinite(v)) })));
  const sorted = all.flatMap((a) => a.values).sort((a, b) => a - b);
  if (sorted.length === 0) return [];
  const offset = parseFloat(String(o.bucketOffset)) || 0;
  let size = parseFloat(String(o.bucketSize)) || 0;
  if (!(size > 0)) {
    let least = sorted.length === 1 ? 1 : Infinity;
    for (let i = 1; i < sorted.length; i++) if (sorted[i] !== sorted[i - 1]) least = Math.min(least, sorted[i] - sorted[i - 1]);
    const wanted = (sorted[sorted.length - 1] - sorted[0]) / (Number(o.bucketCount) || 30);
    // Values that are all one have no distance: a bucket of one.
    size = SIZES.find((s) => wanted < s && s >= least) ?? (Number.isFinite(least) ? least : 1);
  }
  const bucket = (v: number): number => Number((Math.floor((v - offset) / size) * size + offset).toFixed(9));
  const starts = [...new Set(sorted.map(bucket))];
  const place = new Map(starts.map((s, i) => [s, i]));
  const counted = (values: number[]): number[] => {
    const counts = new Array<number>(starts.length).fill(0);
    for (const v of values) counts[place.get(bucket(v))!]++;
    return counts;
  };
  const lists = o.combine ? [{ name: 'count', values: counted(sorted) }] : all.map((a) => ({ name: a.own, shown: a.name === a.own ? undefined : a.name, values: counted(a.values) }));
  return [{
    refId: 'histogram',
    fields: [
      { name: 'xMin', type: 'number', values: starts },
      { name: 'xMax', type: 'number', values: starts.map((s) => Number((s + size).toFixed(9))) },
      ...lists.map((l): Field => ({ ...l, type: 'number' })),
    ],
  }];
};

// Time series as one table (wide), as one frame each (multi), or as rows of time, labels and value (long).
export const prepareTimeSeries: Operation = (o, frames) => {
  const timed = frames.filter((f) => f.fields.some((x) => x.type === 'time') && f.fields.some((x) => x.type === 'number'));
  if (timed.length === 0) return frames;
  if ((o.format ?? 'wide') === 'wide') return join({}, timed);
  const each = timed.flatMap((frame): Frame[] => {
    const time = frame.fields.find((f) => f.type === 'time')!;
    const words = frame.fields.filter((f) => f.type === 'string');
    const groups = new Map<string, number[]>();
    time.values.forEach((_, i) => {
      const key = words.map((f) => f.values[i]).join('\u0000');
      const list = groups.get(key);
      if (list) list.push(i);
      else groups.set(key, [i]);
    });
    return frame.fields.filter((f) => f.type === 'number').flatMap((f) =>
      [...groups.values()].map((rows): Frame => ({
        ...take(withFields(frame, [time, { ...f, labels: { ...f.labels, ...Object.fromEntries(words.map((w) => [w.name, String(w.values[rows[0]] ?? '')])) } }]), rows),
      })));
  });
  if (o.format !== 'long') return each;
  const labels = [...new Set(each.flatMap((f) => Object.keys(f.fields[1].labels ?? {})))];
  const rows = each.flatMap((f) => f.fields[0].values.map((t, i) => ({ t, v: f.fields[1].values[i], f })));
  rows.sort((a, b) => Number(a.t) - Number(b.t));
  return [{ refId: timed[0].refId, fields: [{ name: 'Time', type: 'time', values: rows.map((r) => r.t) }, { name: timed[0].fields.find((f) => f.type === 'number')!.name, type: 'number', values: rows.map((r) => r.v) }, ...labels.map((l): Field => ({ name: l, type: 'string', values: rows.map((r) => r.f.fields[1].labels?.[l] ?? '') }))] }];
};

// Least squares: the polynomial of that degree through the points, by Gauss' elimination.
function polynomial(xs: number[], ys: number[], degree: number): ((x: number) => number) | null {
  const n = degree + 1;
  const powers = Array.from({ length: 2 * n - 1 }, (_, k) => xs.reduce((s, x) => s + x ** k, 0));
  const rows = Array.from({ length: n }, (_, i) => [...Array.from({ length: n }, (_x, j) => powers[i + j]), xs.reduce((s, x, k) => s + x ** i * ys[k], 0)]);
  for (let i = 0; i < n; i++) {
    const best = rows.slice(i).reduce((b, r, k) => (Math.abs(r[i]) > Math.abs(rows[b][i]) ? i + k : b), i);
    [rows[i], rows[best]] = [rows[best], rows[i]];
    if (Math.abs(rows[i][i]) < 1e-12) return null;
    for (let r = 0; r < n; r++) {
      if (r === i) continue;
      const by = rows[r][i] / rows[i][i];
      for (let c = i; c <= n; c++) rows[r][c] -= by * rows[i][c];
    }
  }
  const factors = rows.map((r, i) => r[n] / r[i]);
  return (x) => factors.reduce((s, f, k) => s + f * x ** k, 0);
}

export const regression: Operation = (o, frames) => {
  const pick = (name: string | undefined, type: Field['type']): { f: Field; frame: Frame } | undefined => {
    for (const frame of frames) {
      const f = name ? find(frame, name, frames) : frame.fields.find((x) => x.type === type);
      if (f) return { f, frame };
    }
    return undefined;
  };
  const y = pick(o.yFieldName, 'number');
  const x = y && (pick(o.xFieldName, 'time') ?? pick(undefined, 'number'));
  if (!x || !y) return frames;
  const points = x.f.values.map((v, i) => [v, y.f.values[i]] as const).filter((p): p is readonly [number, number] => typeof p[0] === 'number' && typeof p[1] === 'number' && Number.isFinite(p[1]));
  if (points.length < 2) return frames;
  // Milliseconds to the fourth power are more than a number holds: a scale from 0 to 1.
  const [lo, hi] = [points.reduce((a, [v]) => Math.min(a, v), Infinity), points.reduce((a, [v]) => Math.max(a, v), -Infinity)];
  const scaled = (v: number): number => (hi > lo ? (v - lo) / (hi - lo) : 0);
  const degree = o.modelType === 'polynomial' ? Math.min(8, Math.max(1, Number(o.degree) || 2)) : 1;
  const model = polynomial(points.map(([v]) => scaled(v)), points.map(([, v]) => v), Math.min(degree, points.length - 1));
  if (!model) return frames;
  const count = Math.min(5000, Math.max(2, Number(o.predictionCount) || 100));
  const at = Array.from({ length: count }, (_, i) => lo + ((hi - lo) * i) / (count - 1));
  const name = `${o.modelType === 'polynomial' ? 'polynomial' : 'linear'} regression`;
  return [...frames, { refId: 'regression', name, fields: [{ name: x.f.name, type: x.f.type, values: at }, { name: y.f.name, shown: name, type: 'number', values: at.map((v) => model(scaled(v))) }] }];
};

// Fewer points that keep the line's shape: of each stretch the one that makes the largest triangle.
function fewer(xs: number[], ys: number[], count: number): number[] {
  if (count >= xs.length || count < 3) return xs.map((_, i) => i);
  const out = [0];
  const every = (xs.length - 2) / (count - 2);
  for (let k = 0; k < count - 2; k++) {
    const from = Math.floor(k * every) + 1;
    const to = Math.floor((k + 1) * every) + 1;
    const next = xs.slice(to, Math.floor((k + 2) * every) + 1);
    const cx = next.length > 0 ? next.reduce((a, b) => a + b, 0) / next.length : xs[xs.length - 1];
    const values = ys.slice(to, Math.floor((k + 2) * every) + 1);
    const cy = values.length > 0 ? values.reduce((a, b) => a + b, 0) / values.length : ys[ys.length - 1];
    const a = out[out.length - 1];
    let best = from;
    let most = -1;
    for (let i = from; i < to; i++) {
      const area = Math.abs((xs[a] - cx) * (ys[i] - ys[a]) - (xs[a] - xs[i]) * (cy - ys[a]));
      if (area > most) [most, best] = [area, i];
    }
    out.push(best);
  }
  return [...out, xs.length - 1];
}

export const smoothing: Operation = (o, frames) =>
  frames.flatMap((frame) => {
    const time = frame.fields.find((f) => f.type === 'time');
    const wanted = fieldMatcher(o.fields, (f) => f.type === 'number');
    const numbers = frame.fields.filter((f) => f.type === 'number' && wanted(f, frame, frames));
    if (!time || numbers.length === 0) return [frame];
    const length = rowsOf(frame);
    const made = numbers.map((f): Field => {
      const rows = time.values.map((_, i) => i).filter((i) => typeof f.values[i] === 'number' && Number.isFinite(f.values[i] as number));
      const kept = fewer(rows.map((i) => Number(time.values[i])), rows.map((i) => f.values[i] as number), Number(o.resolution) || 100).map((k) => rows[k]);
      // What lies between two kept points lies on the line between them.
      const values = new Array<Cell>(length).fill(null);
      kept.forEach((i, k) => {
        const to = kept[k + 1] ?? i;
        const [x0, x1, y0, y1] = [Number(time.values[i]), Number(time.values[to]), f.values[i] as number, f.values[to] as number];
        for (let r = i; r <= to; r++) values[r] = x1 > x0 ? y0 + ((y1 - y0) * (Number(time.values[r]) - x0)) / (x1 - x0) : y0;
      });
      return { ...f, shown: `${nameOf(f, frame, frames)} (smoothed)`, values };
    });
    return [frame, { ...frame, fields: [time, ...made] }];
  });
