// Transformations that make one table of several.
import { find, nameOf, orderOf, rowsOf, take, withFields, type Cell, type Field, type Frame } from './frames';
import type { Json } from './model';

// Rows that agree in all the columns that every table has become one row.
export function merge(input: Frame[]): Frame[] {
  const frames = input.filter((f) => f.fields.length > 0);
  if (input.length <= 1) return input;
  if (frames.length === 0) return [input[0]];
  const columns = new Map<string, Field>();
  for (const frame of frames) for (const f of frame.fields) if (!columns.has(f.name)) columns.set(f.name, { ...f, labels: undefined, values: [] });
  const common = [...columns.keys()].filter((n) => frames.every((frame) => frame.fields.some((f) => f.name === n)));
  if (common.length === 0) return input;
  const rows = new Map<string, Map<string, Cell>[]>();
  const out: Map<string, Cell>[] = [];
  for (const frame of frames) {
    const by = new Map(frame.fields.map((f) => [f.name, f]));
    for (let i = 0; i < rowsOf(frame); i++) {
      const key = common.map((n) => String(by.get(n)!.values[i])).join('\u0000');
      const list = rows.get(key) ?? [];
      const fitting = list.find((r) => [...by].every(([n, f]) => r.get(n) === undefined || r.get(n) === null || r.get(n) === f.values[i]));
      const row = fitting ?? new Map<string, Cell>();
      for (const [n, f] of by) row.set(n, f.values[i]);
      if (!fitting) {
        list.push(row);
        out.push(row);
        rows.set(key, list);
      }
    }
  }
  return [{ refId: `merge-${frames.map((f) => f.refId).join('-')}`, fields: [...columns].map(([n, f]) => ({ ...f, values: out.map((r) => r.get(n) ?? null) })) }];
}

// One row for each value of the field they share; "outer" keeps those that only some have.
export function join(o: Json, frames: Frame[]): Frame[] {
  const by: string | undefined = o.byField;
  const keyOf = (frame: Frame): Field | undefined => (by ? find(frame, by, frames) : frame.fields.find((f) => f.type === 'time'));
  const parts = frames.flatMap((frame) => {
    const key = keyOf(frame);
    return key ? [{ frame, key, rest: frame.fields.filter((f) => f !== key) }] : [];
  });
  if (parts.length === 0) return [];
  if (parts.length === 1) return [withFields(parts[0].frame, [parts[0].key, ...parts[0].rest])];
  // Each part: key to its rows. "inner" and "outerTabular" keep every combination of rows.
  const index = parts.map(({ key }) => {
    const at = new Map<Cell, number[]>();
    key.values.forEach((v, i) => at.set(v, [...(at.get(v) ?? []), i]));
    return at;
  });
  const combine = o.mode === 'inner' || o.mode === 'outerTabular';
  const keys: Cell[] = [];
  const seen = new Set<Cell>();
  for (const { key } of parts) for (const v of key.values) if (!seen.has(v) && seen.add(v)) keys.push(v);
  const rows: (number | null)[][] = [];
  const rowKeys: Cell[] = [];
  const expand = (k: Cell, begun: (number | null)[][], from: number): void => {
    let made = begun;
    for (const at of index.slice(from)) {
      const list: (number | null)[] = at.get(k) ?? [null];
      made = made.flatMap((row) => (combine ? list : list.slice(-1)).map((i) => [...row, i]));
    }
    for (const row of made) {
      rows.push(row);
      rowKeys.push(k);
    }
  };
  if (combine) {
    // In the order of the first table's rows; then what only others have.
    parts[0].key.values.forEach((k, i) => (o.mode === 'outerTabular' || index.every((at) => at.has(k))) && expand(k, [[i]], 1));
    if (o.mode === 'outerTabular') for (const k of keys) if (!index[0].has(k)) expand(k, [[]], 0);
  } else for (const k of keys.every((v) => typeof v === 'number') ? keys.sort((a, b) => Number(a) - Number(b)) : keys) expand(k, [[]], 0);
  const names = new Map<string, number>();
  for (const { rest } of parts) for (const f of rest) if (f.shown === undefined && !f.labels) names.set(f.name, (names.get(f.name) ?? 0) + 1);
  const used = new Map<string, number>();
  const fields: Field[] = [{ ...parts[0].key, values: rowKeys }];
  parts.forEach(({ frame, rest }, p) => {
    for (const f of rest) {
      let name = f.name;
      if (f.shown === undefined && !f.labels && (names.get(name) ?? 0) > 1) {
        const n = (used.get(name) ?? 0) + 1;
        used.set(name, n);
        name = `${name} ${n}`;
      }
      fields.push({ ...f, name, shown: f.shown ?? (f.labels ? nameOf(f, frame, frames) : undefined), values: rows.map((row) => (row[p] === null ? null : f.values[row[p]!])) });
    }
  });
  return [{ refId: `joinByField-${parts.map((p) => p.frame.refId).join('-')}`, fields }];
}

// Series that share labels become one row; a label's values become the columns.
export function joinByLabels(o: Json, frames: Frame[]): Frame[] {
  const all = frames.flatMap((frame) => frame.fields.filter((f) => f.labels && f.type === 'number'));
  const label = o.value ?? '';
  if (all.length === 0 || label === '') return frames;
  const names: string[] = o.join?.length ? o.join : [...new Set(all.flatMap((f) => Object.keys(f.labels!)))].filter((n) => n !== label);
  const rows = new Map<string, Map<string, Cell>>();
  const columns = new Set<string>();
  for (const f of all) {
    const key = JSON.stringify(names.map((n) => f.labels![n] ?? ''));
    const column = f.labels![label] ?? f.name;
    columns.add(column);
    rows.set(key, (rows.get(key) ?? new Map()).set(column, f.values[f.values.length - 1] ?? null));
  }
  const keys = [...rows.keys()].map((k) => JSON.parse(k) as string[]);
  return [{
    refId: 'joinByLabels',
    fields: [...names.map((n, i): Field => ({ name: n, type: 'string', values: keys.map((k) => k[i]) })), ...[...columns].map((c): Field => ({ name: c, type: 'number', values: [...rows.values()].map((r) => r.get(c) ?? null) }))],
  }];
}

// All fields side by side, shorter ones filled up.
export function concatenate(o: Json, frames: Frame[]): Frame[] {
  if (frames.length < 2) return frames;
  const length = frames.reduce((n, f) => Math.max(n, rowsOf(f)), 0);
  const fields = frames.flatMap((frame) => frame.fields.map((f): Field => {
    let { name, labels } = f;
    if (frame.name && o.frameNameMode === 'label') labels = { ...labels, [o.frameNameLabel ?? 'frame']: frame.name };
    else if (frame.name && o.frameNameMode !== 'drop') name = !name || name === 'Value' ? frame.name : `${frame.name} · ${name}`;
    return { ...f, name, labels, values: f.values.length === length ? f.values : [...f.values, ...new Array<Cell>(length - f.values.length).fill(null)] };
  }));
  // Two columns of one name are told apart by a number; times are all times.
  const count = new Map<string, number>();
  for (const f of fields) if (f.type !== 'time') count.set(f.name, (count.get(f.name) ?? 0) + 1);
  const used = new Map<string, number>();
  return [{
    refId: frames[0].refId,
    fields: fields.map((f) => {
      if (f.type === 'time' || f.shown !== undefined || f.labels || (count.get(f.name) ?? 0) < 2) return f;
      const n = (used.get(f.name) ?? 0) + 1;
      used.set(f.name, n);
      return { ...f, shown: `${f.name} ${n}` };
    }),
  }];
}

// One table of time, series and value, the newest first.
export function seriesToRows(frames: Frame[]): Frame[] {
  const series = frames.filter((f) => rowsOf(f) > 0);
  if (series.length === 0 || !series.every((f) => f.fields.some((x) => x.type === 'time') && f.fields.some((x) => x.type === 'number'))) return series;
  const time: Cell[] = [];
  const metric: Cell[] = [];
  const value: Cell[] = [];
  for (const frame of series) {
    const t = frame.fields.find((f) => f.type === 'time')!;
    const v = frame.fields.find((f) => f.type === 'number')!;
    const name = frame.name ?? nameOf(v, frame, frames);
    t.values.forEach((x, i) => (time.push(x), metric.push(name), value.push(v.values[i])));
  }
  const made: Frame = { refId: `seriesToRows-${series.map((f) => f.refId).join('-')}`, fields: [{ name: 'Time', type: 'time', values: time }, { name: 'Metric', type: 'string', values: metric }, { name: 'Value', type: 'number', values: value }] };
  return [take(made, orderOf(time, true))];
}
