import { reduce } from './field';
import type { Json } from './model';

// Tables and what Grafana's transformations make of them.

export type Cell = string | number | null;
export interface Column {
  name: string;
  type: 'time' | 'number' | 'string';
  refId?: string;
  values: Cell[];
}
export type Frame = Column[];

const rowsOf = (f: Frame): number => f[0]?.values.length ?? 0;
const take = (f: Frame, order: number[]): Frame => f.map((c) => ({ ...c, values: order.map((i) => c.values[i]) }));
const find = (f: Frame, name: string): Column | undefined => f.find((c) => c.name === name);

function regex(text: string): RegExp {
  const match = /^\/(.*)\/([a-z]*)$/s.exec(text);
  try {
    return match ? new RegExp(match[1], match[2]) : new RegExp(text);
  } catch {
    return /$^/;
  }
}

const ops: Record<string, (o: Json, frames: Frame[]) => Frame[]> = {
  organize: (o, frames) =>
    frames.map((f) => {
      const place = (c: Column, i: number): number => o.indexByName?.[c.name] ?? 1000 + i;
      return f
        .map((c, i) => ({ c, at: place(c, i) }))
        .sort((a, b) => a.at - b.at)
        .map(({ c }) => c)
        .filter((c) => o.excludeByName?.[c.name] !== true && !(o.includeByName && Object.keys(o.includeByName).length > 0 && o.includeByName[c.name] !== true))
        .map((c) => ({ ...c, name: o.renameByName?.[c.name] || c.name }));
    }),
  merge: (_o, frames) => {
    if (frames.length <= 1) return frames;
    const columns: Column[] = [];
    for (const f of frames) for (const c of f) if (!columns.some((k) => k.name === c.name)) columns.push({ ...c, values: [] });
    const common = columns.filter((c) => frames.every((f) => find(f, c.name)));
    const rows = new Map<string, Map<string, Cell>[]>();
    const out: Map<string, Cell>[] = [];
    for (const f of frames) {
      for (let i = 0; i < rowsOf(f); i++) {
        const key = JSON.stringify(common.map((c) => find(f, c.name)!.values[i]));
        const list = rows.get(key) ?? [];
        const row = list.find((r) => f.every((c) => !r.has(c.name) || r.get(c.name) === c.values[i]));
        const put = row ?? new Map<string, Cell>();
        for (const c of f) put.set(c.name, c.values[i]);
        if (!row) {
          list.push(put);
          out.push(put);
        }
        rows.set(key, list);
      }
    }
    return [columns.map((c) => ({ ...c, values: out.map((r) => r.get(c.name) ?? null) }))];
  },
  joinByField: (o, frames) => {
    const by = o.byField ?? 'Time';
    const inner = o.mode === 'inner';
    const with_ = frames.filter((f) => find(f, by));
    if (with_.length === 0) return frames;
    const keys: Cell[] = [];
    for (const f of with_) for (const k of find(f, by)!.values) if (!keys.includes(k)) keys.push(k);
    const kept = inner ? keys.filter((k) => with_.every((f) => find(f, by)!.values.includes(k))) : keys;
    if (typeof kept[0] === 'number') kept.sort((a, b) => Number(a) - Number(b));
    const seen = new Map<string, number>();
    const out: Frame = [{ ...find(with_[0], by)!, values: kept }];
    for (const f of with_) {
      for (const c of f) {
        if (c.name === by) continue;
        const n = (seen.get(c.name) ?? 0) + 1;
        seen.set(c.name, n);
        const at = find(f, by)!.values;
        out.push({ ...c, name: n > 1 ? `${c.name} ${n}` : c.name, values: kept.map((k) => (at.includes(k) ? c.values[at.indexOf(k)] : null)) });
      }
    }
    for (const c of out) if ((seen.get(c.name) ?? 0) > 1) c.name = `${c.name} 1`;
    return [out];
  },
  filterFieldsByName: (o, frames) =>
    frames.map((f) =>
      f.filter((c) => {
        const included = !o.include || o.include.names?.includes(c.name) || (o.include.pattern && regex(o.include.pattern).test(c.name)) || (!o.include.names && !o.include.pattern);
        const excluded = o.exclude && (o.exclude.names?.includes(c.name) || (o.exclude.pattern && regex(o.exclude.pattern).test(c.name)));
        return included && !excluded;
      }),
    ),
  filterByRefId: (o, frames) => (o.include ? frames.filter((f) => regex(String(o.include)).test(f[0]?.refId ?? '')) : frames),
  renameByRegex: (o, frames) => frames.map((f) => f.map((c) => ({ ...c, name: c.name.replace(regex(o.regex ?? ''), o.renamePattern ?? '') }))),
  sortBy: (o, frames) =>
    frames.map((f) => {
      const sort = o.sort?.[0];
      const c = sort ? find(f, String(sort.field)) : undefined;
      if (!c) return f;
      const order = Array.from({ length: c.values.length }, (_unused, i) => i).sort((a, b) => {
        const x = c.values[a];
        const y = c.values[b];
        const d = typeof x === 'number' && typeof y === 'number' ? x - y : String(x ?? '').localeCompare(String(y ?? ''), undefined, { numeric: true });
        return sort.desc ? -d : d;
      });
      return take(f, order);
    }),
  limit: (o, frames) => frames.map((f) => f.map((c) => ({ ...c, values: c.values.slice(0, Number(o.limitField ?? 10)) }))),
  groupBy: (o, frames) =>
    frames.map((f) => {
      const keys = f.filter((c) => o.fields?.[c.name]?.operation === 'groupby');
      if (keys.length === 0) return f;
      const groups = new Map<string, number[]>();
      for (let i = 0; i < rowsOf(f); i++) {
        const key = JSON.stringify(keys.map((c) => c.values[i]));
        groups.set(key, [...(groups.get(key) ?? []), i]);
      }
      const lists = [...groups.values()];
      const out: Frame = keys.map((c) => ({ ...c, values: lists.map((l) => c.values[l[0]]) }));
      for (const c of f) {
        const spec = o.fields?.[c.name];
        if (spec?.operation !== 'aggregate') continue;
        for (const how of spec.aggregations ?? []) out.push({ ...c, name: `${c.name} (${how})`, type: 'number', values: lists.map((l) => reduce(l.map((i) => c.values[i] as number | null), how)) });
      }
      return out;
    }),
  reduce: (o, frames) => {
    const how: string[] = o.reducers ?? [];
    const title: Record<string, string> = { lastNotNull: 'Last *', last: 'Last', max: 'Max', min: 'Min', mean: 'Mean', sum: 'Total', count: 'Count', first: 'First', firstNotNull: 'First *', range: 'Range', diff: 'Difference', delta: 'Delta', median: 'Median' };
    if (o.mode === 'reduceFields') {
      return frames.map((f) => f.filter((c) => c.type === 'number').flatMap((c) => how.map((h) => ({ ...c, name: how.length > 1 ? `${c.name} ${title[h] ?? h}` : c.name, values: [reduce(c.values as number[], h)] }))));
    }
    const all = frames.flatMap((f) => f.filter((c) => c.type === 'number'));
    return [[{ name: 'Field', type: 'string', values: all.map((c) => c.name) }, ...how.map((h): Column => ({ name: title[h] ?? h, type: 'number', values: all.map((c) => reduce(c.values as number[], h)) }))]];
  },
  calculateField: (o, frames) =>
    frames.map((f) => {
      let made: Column | null = null;
      const side = (x: Json): ((i: number) => number) => {
        const name = typeof x === 'object' && x !== null ? (x.matcher?.options ?? x.fixed) : x;
        const c = find(f, String(name));
        return c ? (i) => Number(c.values[i]) : () => Number(name);
      };
      const n = rowsOf(f);
      if (o.mode === 'binary') {
        const a = side(o.binary?.left);
        const b = side(o.binary?.right);
        const op = o.binary?.operator ?? '+';
        const calc = (x: number, y: number): number => (op === '-' ? x - y : op === '*' ? x * y : op === '/' ? x / y : op === '%' ? x % y : op === '**' ? x ** y : x + y);
        made = { name: o.alias || `${o.binary?.left?.matcher?.options ?? o.binary?.left} ${op} ${o.binary?.right?.matcher?.options ?? o.binary?.right}`, type: 'number', values: Array.from({ length: n }, (_, i) => calc(a(i), b(i))) };
      } else if (o.mode === undefined || o.mode === 'reduceRow') {
        const include: string[] | undefined = o.reduce?.include?.length ? o.reduce.include : undefined;
        const list = f.filter((c) => c.type === 'number' && (!include || include.includes(c.name)));
        const how = o.reduce?.reducer ?? 'sum';
        made = { name: o.alias || ({ sum: 'Total', mean: 'Mean', max: 'Max', min: 'Min' }[how as string] ?? how), type: 'number', values: Array.from({ length: n }, (_, i) => reduce(list.map((c) => c.values[i] as number), how)) };
      }
      if (!made) return f;
      return o.replaceFields ? [...f.filter((c) => c.type === 'time'), made] : [...f, made];
    }),
  filterByValue: (o, frames) =>
    frames.map((f) => {
      const test = (x: Json, i: number): boolean => {
        const c = find(f, x.fieldName);
        if (!c) return false;
        const v = c.values[i];
        const to = x.config?.options?.value;
        switch (x.config?.id) {
          case 'greater': return Number(v) > to;
          case 'greaterOrEqual': return Number(v) >= to;
          case 'lower': return Number(v) < to;
          case 'lowerOrEqual': return Number(v) <= to;
          case 'equal': return String(v) === String(to);
          case 'notEqual': return String(v) !== String(to);
          case 'isNull': return v === null;
          case 'isNotNull': return v !== null;
          case 'regex': return regex(String(to)).test(String(v));
          case 'range': return Number(v) > x.config.options.from && Number(v) < x.config.options.to;
        }
        return false;
      };
      const filters: Json[] = o.filters ?? [];
      const keep: number[] = [];
      for (let i = 0; i < rowsOf(f); i++) {
        const hit = o.match === 'all' ? filters.every((x) => test(x, i)) : filters.some((x) => test(x, i));
        if (hit === (o.type !== 'exclude')) keep.push(i);
      }
      return take(f, keep);
    }),
  convertFieldType: (o, frames) =>
    frames.map((f) =>
      f.map((c) => {
        const to = (o.conversions ?? []).find((x: Json) => x.targetField === c.name)?.destinationType;
        return to === 'number' ? { ...c, type: 'number', values: c.values.map((v) => (v === null ? null : Number(v))) } : to === 'string' ? { ...c, type: 'string', values: c.values.map(String) } : c;
      }),
    ),
};
ops.seriesToColumns = ops.joinByField;

export function transform(frames: Frame[], list: { id: string; options: Json; disabled?: boolean }[]): Frame[] {
  return list.reduce((f, t) => (t.disabled || !ops[t.id] ? f : ops[t.id](t.options ?? {}, f)), frames);
}
