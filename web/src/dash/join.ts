// Transformations that make one table of several.
import { nameOf, orderOf, rowsOf, take, type Cell, type Field, type Frame } from './frames';
import { fieldMatcher } from './matchers';
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
      // Every row that says nothing else gets the values.
      const fitting = list.filter((r) => [...by].every(([n, f]) => r.get(n) === undefined || r.get(n) === null || r.get(n) === f.values[i]));
      if (fitting.length === 0) {
        const row = new Map<string, Cell>();
        fitting.push(row);
        list.push(row);
        out.push(row);
        rows.set(key, list);
      }
      for (const row of fitting) for (const [n, f] of by) row.set(n, f.values[i]);
    }
  }
  return [{ refId: `merge-${frames.map((f) => f.refId).join('-')}`, fields: [...columns].map(([n, f]) => ({ ...f, values: out.map((r) => r.get(n)) })) }];
}

// A row of a join: which row of each table it is made of, -1 where a table has none.
type Picks = number[];

// Every pair of rows with the same key; `outer` keeps the rows of either side that have no partner.
function pairs(rows: Picks[], keys: Cell[], others: Cell[], outer: boolean): { rows: Picks[]; keys: Cell[] } {
  const at = new Map<string, number[]>();
  others.forEach((v, i) => at.set(String(v), [...(at.get(String(v)) ?? []), i]));
  const made: { row: Picks; key: Cell }[] = [];
  const alone: { row: Picks; key: Cell }[] = [];
  const met = new Set<string>();
  rows.forEach((row, i) => {
    const partners = keys[i] === null || keys[i] === undefined ? undefined : at.get(String(keys[i]));
    if (!partners) alone.push({ row: [...row, -1], key: keys[i] });
    else for (const p of partners) made.push({ row: [...row, p], key: keys[i] });
    if (partners) met.add(String(keys[i]));
  });
  const none: Picks = new Array<number>(rows[0]?.length ?? 1).fill(-1);
  const all = outer ? [...made, ...alone, ...[...at].filter(([k]) => !met.has(k)).flatMap(([, list]) => list.map((i) => ({ row: [...none, i], key: others[i] })))] : made;
  return { rows: all.map((r) => r.row), keys: all.map((r) => r.key) };
}

// One row for each key, in their order where they are numbers. Of several rows with one key the last counts.
function aligned(keys: Cell[][]): { rows: Picks[]; keys: Cell[] } {
  if (keys.every((list) => list.length === keys[0].length && list.every((v, i) => v === keys[0][i]))) {
    const order = keys[0].map((_, i) => i);
    if (keys[0].every((v) => typeof v === 'number')) order.sort((a, b) => Number(keys[0][a]) - Number(keys[0][b]) || a - b);
    return { rows: order.map((i) => keys.map(() => i)), keys: order.map((i) => keys[0][i]) };
  }
  const all = [...new Set(keys.flat())];
  if (all.every((v) => typeof v === 'number')) all.sort((a, b) => Number(a) - Number(b));
  const last = keys.map((list) => new Map(list.map((v, i) => [v, i])));
  return { rows: all.map((v) => last.map((at) => at.get(v) ?? -1)), keys: all };
}

// One table of all, by the field they share: each key once ("outer"), every pair of rows ("inner"), or every
// pair and what is alone ("outerTabular").
export function join(o: Json, frames: Frame[]): Frame[] {
  if (frames.length < 2) return frames;
  const by = o.byField ? fieldMatcher({ id: 'byName', options: o.byField }, () => false) : fieldMatcher({ id: 'firstTimeField' }, () => false);
  const parts = frames.flatMap((frame) => {
    const key = frame.fields.find((f) => by(f, frame, frames));
    return key ? [{ frame, key, rest: frame.fields.filter((f) => f !== key) }] : [];
  });
  const refId = `joinByField-${frames.map((f) => f.refId).join('-')}`;
  if (parts.length === 0) return [{ refId, fields: [] }];
  let joined: { rows: Picks[]; keys: Cell[] };
  if (o.mode === 'inner' || o.mode === 'outerTabular') {
    joined = { rows: parts[0].key.values.map((_, i) => [i]), keys: parts[0].key.values };
    for (const { key } of parts.slice(1)) joined = pairs(joined.rows, joined.keys, key.values, o.mode === 'outerTabular');
    // A table without the field has nothing in common with the others.
    if (o.mode === 'inner' && parts.length < frames.length) joined = { rows: [], keys: [] };
  } else joined = aligned(parts.map((p) => p.key.values));
  // What an outer join leaves open counts as nothing at all, what a pair leaves open as null.
  const open: Cell = o.mode === 'outerTabular' ? null : undefined;
  const fields: Field[] = [{ ...parts[0].key, values: joined.keys }];
  parts.forEach(({ frame, rest }, p) => {
    for (const f of rest) {
      const name = frame.name && f.name === 'Value' ? frame.name : f.name;
      const labels = frame.name && f.name !== 'Value' && f.labels?.name === undefined ? { ...f.labels, name: frame.name } : { ...f.labels };
      fields.push({ ...f, name, labels, values: joined.rows.map((row) => (row[p] < 0 ? open : f.values[row[p]])) });
    }
  });
  return [{ refId, fields }];
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
  return [{ refId: '', fields }];
}

// One table of time, series and value, the newest first.
export function seriesToRows(frames: Frame[]): Frame[] {
  const series = frames.filter((f) => rowsOf(f) > 0);
  // Tables of more than a time and a value are no series.
  if (series.length === 0 || !series.every((f) => f.fields.length <= 2 && f.fields.some((x) => x.type === 'time') && f.fields.some((x) => x.type === 'number'))) return series;
  const time: Cell[] = [];
  const metric: Cell[] = [];
  const value: Cell[] = [];
  for (const frame of series) {
    const t = frame.fields.find((f) => f.type === 'time')!;
    const v = frame.fields.find((f) => f.type === 'number')!;
    const name = frame.name ?? nameOf(v, frame, [frame]);
    t.values.forEach((x, i) => (time.push(x), metric.push(name), value.push(v.values[i])));
  }
  const made: Frame = { refId: `seriesToRows-${series.map((f) => f.refId).join('-')}`, fields: [{ name: 'Time', type: 'time', values: time }, { name: 'Metric', type: 'string', values: metric }, { name: 'Value', type: 'number', values: value }] };
  return [take(made, orderOf(time, true))];
}
