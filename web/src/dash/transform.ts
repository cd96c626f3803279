// Grafana's transformations: frames in, frames out. What is unknown changes nothing.
import { calculateField } from './calculate';
import { find, nameOf, orderOf, rowsOf, take, withFields, type Cell, type Field, type Frame } from './frames';
import { join, joinByLabels, merge, concatenate, seriesToRows } from './join';
import type { Json } from './model';
import { reduceCells, reducerName } from './reduce';
import { dateText } from './unit_time';

export interface Transformation {
  id: string;
  options: Json;
  disabled?: boolean;
  filter?: { id: string; options: Json };
}
type Operation = (o: Json, frames: Frame[]) => Frame[];

// "/text/flags" or plain text; null when it is no expression.
export function pattern(text: string): RegExp | null {
  const match = /^\/(.*)\/([a-z]*)$/s.exec(text);
  try {
    return match ? new RegExp(match[1], match[2]) : new RegExp(text);
  } catch {
    return null;
  }
}
const fits = (re: RegExp | null, text: string): boolean => re !== null && new RegExp(re.source, re.flags.replace(/[gy]/g, '')).test(text);

// Which fields a matcher of Grafana's means.
export function fieldMatcher(matcher: { id: string; options: Json } | undefined, otherwise: (f: Field) => boolean): (f: Field, frame: Frame, all: Frame[]) => boolean {
  if (!matcher?.id) return otherwise;
  const { id, options } = matcher;
  switch (id) {
    case 'byName': return (f, frame, all) => nameOf(f, frame, all) === options || f.name === options;
    case 'byNames': {
      const names: string[] = Array.isArray(options) ? options : (options?.names ?? []);
      const hit = (f: Field, frame: Frame, all: Frame[]): boolean => names.includes(nameOf(f, frame, all)) || names.includes(f.name);
      return options?.mode === 'exclude' ? (f, frame, all) => !hit(f, frame, all) : hit;
    }
    case 'byRegexp': {
      const re = pattern(String(options));
      return (f, frame, all) => fits(re, nameOf(f, frame, all));
    }
    case 'byRegexpOrNames': {
      const re = options?.pattern ? pattern(options.pattern) : null;
      return (f, frame, all) => (options?.names ?? []).includes(nameOf(f, frame, all)) || fits(re, nameOf(f, frame, all));
    }
    case 'byType': return (f) => f.type === options;
    case 'byTypes': return (f) => (options ?? []).includes(f.type);
    case 'numeric': return (f) => f.type === 'number';
    case 'time': return (f) => f.type === 'time';
    case 'firstTimeField': return (f, frame) => f === frame.fields.find((x) => x.type === 'time');
    case 'byFrameRefID': return (_f, frame) => frame.refId === options;
    case 'byValue': return (f) => compare(options?.op, Number(reduceCells(f.values, options?.reducer ?? 'lastNotNull') ?? NaN), Number(options?.value));
    case 'alwaysFalse':
    case 'never': return () => false;
    case 'anyMatch': return (f, frame, all) => (options ?? []).some((m: Json) => fieldMatcher(m, () => false)(f, frame, all));
    case 'allMatch': return (f, frame, all) => (options ?? []).every((m: Json) => fieldMatcher(m, () => false)(f, frame, all));
    case 'invertMatch': {
      const inner = fieldMatcher(options, () => false);
      return (f, frame, all) => !inner(f, frame, all);
    }
  }
  return () => true;
}

export function compare(op: string | undefined, a: number, b: number): boolean {
  switch (op) {
    case '<': case 'lt': return a < b;
    case '<=': case 'lte': return a <= b;
    case '>': case 'gt': return a > b;
    case '>=': case 'gte': return a >= b;
    case '!=': case 'ne': case '<>': return a !== b;
    case '=': case '==': case 'eq': return a === b;
  }
  return false;
}

const organize: Operation = (o, frames) =>
  frames.map((frame) => {
    const has = (list: Json, f: Field): boolean => list?.[nameOf(f, frame, frames)] === true;
    const chosen = o.includeByName && Object.keys(o.includeByName).length > 0;
    const kept = frame.fields.filter((f) => !has(o.excludeByName, f) && (!chosen || has(o.includeByName, f)));
    const place = (f: Field): number => o.indexByName?.[nameOf(f, frame, frames)] ?? Number.MAX_SAFE_INTEGER;
    const sorted = o.indexByName && Object.keys(o.indexByName).length > 0 ? kept.map((f, i) => ({ f, i })).sort((a, b) => place(a.f) - place(b.f) || a.i - b.i).map(({ f }) => f) : kept;
    return withFields(frame, sorted.map((f) => {
      const to = o.renameByName?.[nameOf(f, frame, frames)];
      return to ? { ...f, shown: to } : f;
    }));
  });

const filterFieldsByName: Operation = (o, frames) => {
  const names = (side: Json): ((f: Field, frame: Frame) => boolean) | null => {
    if (!side) return null;
    const list: string[] = side.names ?? [];
    const re = side.pattern ? pattern(side.pattern) : null;
    const byVariable = typeof side.variable === 'string' && side.variable !== '' ? side.variable.split(/[,|]/).map((s: string) => s.replace(/^[({]|[)}]$/g, '').trim()) : [];
    if (list.length === 0 && re === null && byVariable.length === 0) return null;
    return (f, frame) => {
      const n = nameOf(f, frame, frames);
      return list.includes(n) || list.includes(f.name) || byVariable.includes(n) || fits(re, n);
    };
  };
  const include = names(o.include);
  const exclude = names(o.exclude);
  return frames.map((frame) => withFields(frame, frame.fields.filter((f) => (include === null || include(f, frame)) && !(exclude?.(f, frame) ?? false)))).filter((f) => f.fields.length > 0);
};

const filterByValue: Operation = (o, frames) =>
  frames.map((frame) => {
    const tests = (o.filters ?? []).map((x: Json) => {
      const field = find(frame, x.fieldName, frames);
      return field ? valueTest(x.config ?? {}, field) : null;
    }).filter(Boolean) as ((i: number) => boolean)[];
    if (tests.length === 0) return frame;
    const keep: number[] = [];
    for (let i = 0; i < rowsOf(frame); i++) {
      const hit = o.match === 'all' ? tests.every((t) => t(i)) : tests.some((t) => t(i));
      if (hit === (o.type !== 'exclude')) keep.push(i);
    }
    return take(frame, keep);
  });

function valueTest(config: Json, field: Field): (i: number) => boolean {
  const opt = config.options ?? {};
  const at = (i: number): Cell => field.values[i];
  const n = (i: number): number => (at(i) === null ? NaN : Number(at(i)));
  switch (config.id) {
    case 'greater': return (i) => n(i) > Number(opt.value);
    case 'greaterOrEqual': return (i) => n(i) >= Number(opt.value);
    case 'lower': return (i) => n(i) < Number(opt.value);
    case 'lowerOrEqual': return (i) => n(i) <= Number(opt.value);
    // eslint-disable-next-line eqeqeq
    case 'equal': return (i) => at(i) == opt.value;
    // eslint-disable-next-line eqeqeq
    case 'notEqual': return (i) => at(i) != opt.value;
    case 'isNull': return (i) => at(i) === null || at(i) === undefined;
    case 'isNotNull': return (i) => at(i) !== null && at(i) !== undefined;
    case 'regex': {
      const re = pattern(String(opt.value ?? ''));
      return (i) => fits(re, String(at(i) ?? ''));
    }
    case 'substring': return (i) => String(at(i) ?? '').toLowerCase().includes(String(opt.value ?? '').toLowerCase());
    case 'notSubstring': return (i) => !String(at(i) ?? '').toLowerCase().includes(String(opt.value ?? '').toLowerCase());
    case 'between':
    case 'range': return (i) => n(i) >= Number(opt.from) && n(i) <= Number(opt.to);
  }
  return () => true;
}

const sortBy: Operation = (o, frames) =>
  frames.map((frame) => {
    const sort = o.sort?.[0];
    const field = sort ? (sort.index !== undefined && sort.index !== null ? frame.fields[sort.index] : find(frame, String(sort.field), frames)) : undefined;
    return field ? take(frame, orderOf(field.values, sort.desc === true)) : frame;
  });

const COUNTS = new Set(['count', 'countAll', 'distinctCount', 'changeCount', 'lastNotNull', 'last', 'first', 'firstNotNull']);
const typeAfter = (how: string, type: Field['type']): Field['type'] => (/^all(Values)$|^uniqueValues$/.test(how) ? 'string' : /^allIs/.test(how) ? 'boolean' : COUNTS.has(how) && !/ount/.test(how) ? type : 'number');

const groupBy: Operation = (o, frames) => {
  const spec = (f: Field, frame: Frame): Json => o.fields?.[nameOf(f, frame, frames)] ?? o.fields?.[f.name];
  if (!Object.values(o.fields ?? {}).some((s: Json) => s?.operation === 'groupby')) return frames;
  return frames.flatMap((frame) => {
    const keys = frame.fields.filter((f) => spec(f, frame)?.operation === 'groupby');
    if (keys.length === 0) return [];
    const groups = new Map<string, number[]>();
    for (let i = 0; i < rowsOf(frame); i++) {
      const key = String(keys.map((f) => f.values[i]));
      const list = groups.get(key);
      if (list) list.push(i);
      else groups.set(key, [i]);
    }
    const lists = [...groups.values()];
    const fields: Field[] = keys.map((f) => ({ ...f, values: lists.map((l) => f.values[l[0]]) }));
    for (const f of frame.fields) {
      const s = spec(f, frame);
      const how: string[] = Array.isArray(s?.aggregations) ? s.aggregations : [];
      if (s?.operation !== 'aggregate' && !(s?.operation === 'groupby' && how.length === 1 && how[0] === 'count')) continue;
      for (const h of how) fields.push({ name: `${nameOf(f, frame, frames)} (${h})`, type: typeAfter(h, f.type), values: lists.map((l) => reduceCells(l.map((i) => f.values[i]), h)) });
    }
    return [{ refId: frame.refId, fields }];
  });
};

const reduceFrames: Operation = (o, frames) => {
  const how: string[] = o.reducers ?? [];
  const whole = o.mode === 'reduceFields';
  const wanted = fieldMatcher(o.fields, (f) => (f.type === 'time' ? o.includeTimeField === true : whole || f.type === 'number'));
  if (whole) {
    return frames
      .map((frame) => withFields(frame, frame.fields.filter((f) => wanted(f, frame, frames)).flatMap((f) =>
        how.map((h): Field => ({ ...f, type: typeAfter(h, f.type), ...(how.length > 1 && { labels: { ...f.labels, reducer: reducerName(h) }, shown: f.shown === undefined ? undefined : `${f.shown} ${reducerName(h)}` }), values: [reduceCells(f.values, h)] })))))
      .filter((f) => f.fields.length > 0);
  }
  const all = frames.flatMap((frame) => frame.fields.filter((f) => wanted(f, frame, frames)).map((f) => ({ f, frame })));
  const labels = o.labelsToFields ? [...new Set(all.flatMap(({ f }) => Object.keys(f.labels ?? {})))] : [];
  return [{
    refId: frames[0]?.refId ?? 'A',
    fields: [
      { name: 'Field', type: 'string', values: all.map(({ f, frame }) => (o.labelsToFields ? f.name : nameOf(f, frame, frames))) },
      ...labels.map((l): Field => ({ name: l, type: 'string', values: all.map(({ f }) => f.labels?.[l] ?? null) })),
      ...how.map((h): Field => ({ name: reducerName(h), type: typeAfter(h, 'number'), values: all.map(({ f }) => reduceCells(f.values, h) ?? NaN) })),
    ],
  }];
};

const labelsToFields: Operation = (o, frames) => {
  if (o.mode === 'rows') {
    return frames.flatMap((frame) => frame.fields.filter((f) => f.labels).map((f): Frame => {
      const keys = o.keepLabels ?? Object.keys(f.labels!);
      return { refId: frame.refId, name: nameOf(f, frame, frames), fields: [{ name: 'label', type: 'string', values: keys }, { name: 'value', type: 'string', values: keys.map((k: string) => f.labels![k] ?? '') }] };
    }));
  }
  const keep: Set<string> | null = o.keepLabels?.length ? new Set(o.keepLabels) : null;
  return frames.map((frame) => {
    const extra = new Map<string, Set<string>>();
    const fields = frame.fields.map((f) => {
      if (!f.labels) return f;
      let name = f.name;
      for (const [label, value] of Object.entries(f.labels)) {
        if (keep && !keep.has(label)) continue;
        if (o.valueLabel === label) name = value;
        else extra.set(label, (extra.get(label) ?? new Set()).add(value));
      }
      return { ...f, name, labels: undefined, shown: undefined };
    });
    for (const [label, values] of extra) for (const value of values) fields.push({ name: label, type: 'string', labels: undefined, shown: undefined, values: new Array<Cell>(rowsOf(frame)).fill(value) });
    return { ...frame, name: undefined, fields };
  });
};

const renameByRegex: Operation = (o, frames) => {
  const re = o.regex ? pattern(o.regex) : null;
  if (re === null) return frames;
  return frames.map((frame) => withFields(frame, frame.fields.map((f) => ({ ...f, shown: nameOf(f, frame, frames).replace(re, o.renamePattern ?? '') }))));
};

const groupingToMatrix: Operation = (o, frames) => {
  if (frames.length !== 1) return frames;
  const [frame] = frames;
  const [column, row, value] = [find(frame, o.columnField ?? 'Time', frames), find(frame, o.rowField ?? 'Time', frames), find(frame, o.valueField ?? 'Value', frames)];
  if (!column || !row || !value) return frames;
  const cells = new Map<string, Cell>();
  value.values.forEach((v, i) => cells.set(`${column.values[i]}\u0000${row.values[i]}`, v));
  const rows = [...new Set(row.values)];
  const none: Cell = o.emptyValue === 'null' ? null : o.emptyValue === 'true' ? true : o.emptyValue === 'false' ? false : o.emptyValue === 'zero' ? 0 : '';
  return [{
    refId: frame.refId,
    fields: [
      { name: `${o.rowField ?? 'Time'}\\${o.columnField ?? 'Time'}`, type: row.type, values: rows },
      ...[...new Set(column.values)].map((c): Field => ({ name: String(c), type: value.type, config: value.config, values: rows.map((r) => cells.get(`${c}\u0000${r}`) ?? none) })),
    ],
  }];
};

const convertFieldType: Operation = (o, frames) =>
  frames.map((frame) => withFields(frame, frame.fields.map((f) => {
    const to = (o.conversions ?? []).find((x: Json) => x.targetField === nameOf(f, frame, frames) || x.targetField === f.name);
    if (to === undefined) return f;
    const numeric = (v: Cell): Cell => (v === null ? null : Number.isNaN(Number(v)) ? null : Number(v));
    switch (to.destinationType) {
      case 'number': return { ...f, type: 'number' as const, values: f.values.map(numeric) };
      case 'string': return { ...f, type: 'string' as const, values: f.values.map((v) => (f.type === 'string' ? JSON.stringify(v) : f.type === 'time' && to.dateFormat ? dateText(to.dateFormat, Number(v)) : String(v))) };
      case 'boolean': return { ...f, type: 'boolean' as const, values: f.values.map((v) => Boolean(v)) };
      case 'time': return { ...f, type: 'time' as const, values: f.values.map((v) => (typeof v === 'number' ? v : v === null ? null : /^\d+$/.test(String(v)) ? Number(v) : Date.parse(String(v)))) };
    }
    return f;
  })));

const extractFields: Operation = (o, frames) =>
  frames.map((frame) => {
    const source = find(frame, o.source ?? '', frames);
    if (!source) return frame;
    const parse = (text: string): Record<string, Cell> => {
      if (o.format === 'kvp' || (o.format !== 'json' && !text.trim().startsWith('{'))) return Object.fromEntries([...text.matchAll(/([^\s=,]+)=(?:"([^"]*)"|([^\s,]*))/g)].map((m) => [m[1], m[2] ?? m[3]]));
      try {
        const got = JSON.parse(text);
        return typeof got === 'object' && got !== null ? got : {};
      } catch {
        return {};
      }
    };
    const rows = source.type === 'string' ? source.values.map((v) => parse(String(v ?? ''))) : (source.labels ? source.values.map(() => source.labels as Record<string, Cell>) : []);
    const names = [...new Set(rows.flatMap((r) => Object.keys(r)))];
    const fields = names.map((name): Field => {
      const values = rows.map((r) => (typeof r[name] === 'object' && r[name] !== null ? JSON.stringify(r[name]) : (r[name] ?? null)));
      return { name, type: values.every((v) => v === null || typeof v === 'number') ? 'number' : 'string', values };
    });
    const kept = o.replace ? (o.keepTime ? frame.fields.filter((f) => f.type === 'time') : []) : frame.fields;
    return withFields(frame, [...kept, ...fields]);
  });

const rowsToFields: Operation = (o, frames) =>
  frames.flatMap((frame) => {
    const handler = (name: string): string => (o.mappings ?? []).find((m: Json) => m.fieldName === name)?.handlerKey ?? '';
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
const configFromData: Operation = (o, frames) => {
  const source = frames.find((f) => f.refId === o.configRefId);
  if (!source) return frames;
  const config: Json = {};
  for (const f of source.fields) {
    const m = (o.mappings ?? []).find((x: Json) => x.fieldName === nameOf(f, source, frames) || x.fieldName === f.name);
    const key = m?.handlerKey ?? (['min', 'max', 'unit', 'decimals'].includes(f.name.toLowerCase()) ? f.name.toLowerCase() : undefined);
    if (!key || key === '__ignore' || f.type === 'time') continue;
    const v = reduceCells(f.values, m?.reducerId ?? 'lastNotNull');
    if (/^threshold/.test(key)) config.thresholds = { mode: 'absolute', steps: [...(config.thresholds?.steps ?? [{ value: null, color: 'green' }]), { value: v, color: m?.handlerArguments?.threshold?.color ?? 'red' }] };
    else config[key] = v;
  }
  const applied = fieldMatcher(o.applyTo, (f) => f.type === 'number');
  return frames.filter((f) => f !== source).map((frame) => withFields(frame, frame.fields.map((f) => (applied(f, frame, frames) ? { ...f, config: { ...f.config, ...config } } : f))));
};

// One row a series, the series itself in a cell; here the cell holds its last value.
const timeSeriesTable: Operation = (o, frames) => {
  const byRef = new Map<string, { f: Field; frame: Frame }[]>();
  for (const frame of frames) for (const f of frame.fields) if (f.type === 'number' && frame.fields.some((x) => x.type === 'time')) byRef.set(frame.refId, [...(byRef.get(frame.refId) ?? []), { f, frame }]);
  return [...byRef].map(([ref, list]): Frame => {
    const names = [...new Set(list.flatMap(({ f }) => Object.keys(f.labels ?? {})))];
    const how = o[ref]?.stat ?? 'lastNotNull';
    return { refId: ref, fields: [...names.map((n): Field => ({ name: n, type: 'string', values: list.map(({ f }) => f.labels?.[n] ?? '') })), { name: `Trend #${ref}`, type: 'number', values: list.map(({ f }) => reduceCells(f.values, how)) }] };
  });
};

const partitionByValues: Operation = (o, frames) =>
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

const transpose: Operation = (o, frames) => {
  const frame = frames[0];
  if (!frame || frame.fields.length === 0) return frames;
  const [head, ...rest] = frame.fields;
  return [{
    refId: frame.refId,
    fields: [
      { name: o.firstFieldName || 'Field', type: 'string', values: rest.map((f) => nameOf(f, frame, frames)) },
      ...head.values.map((v, i): Field => ({ name: o.restFieldsName ? `${o.restFieldsName}${i + 1}` : String(v), ...(rest.every((f) => f.type === 'number') ? { type: 'number' as const, values: rest.map((f) => f.values[i]) } : { type: 'string' as const, values: rest.map((f) => String(f.values[i] ?? '')) }) })),
    ],
  }];
};

const FORMATS: Record<string, (s: string) => string> = {
  'Upper Case': (s) => s.toUpperCase(), 'Lower Case': (s) => s.toLowerCase(), 'Sentence Case': (s) => s.charAt(0).toUpperCase() + s.slice(1), 'First Letter': (s) => s.charAt(0).toUpperCase() + s.slice(1),
  'Title Case': (s) => s.replace(/\b\w/g, (c) => c.toUpperCase()), Trim: (s) => s.trim(), 'Snake Case': (s) => s.trim().replace(/\W+/g, '_').toLowerCase(), 'Kebab Case': (s) => s.trim().replace(/\W+/g, '-').toLowerCase(),
};

const histogram: Operation = (o, frames) => {
  const all = frames.flatMap((frame) => frame.fields.filter((f) => f.type === 'number').map((f) => ({ name: o.combine ? 'Count' : nameOf(f, frame, frames), values: f.values.filter((v): v is number => typeof v === 'number' && Number.isFinite(v)) })));
  const lists = o.combine ? [{ name: 'Count', values: all.flatMap((a) => a.values) }] : all;
  const flat = lists.flatMap((l) => l.values);
  if (flat.length === 0) return [];
  const low = flat.reduce((a, b) => Math.min(a, b));
  const high = flat.reduce((a, b) => Math.max(a, b));
  const size = Number(o.bucketSize) || niceBucket((high - low) / (Number(o.bucketCount) || 30));
  const offset = Number(o.bucketOffset) || 0;
  const first = Math.floor((low - offset) / size);
  const n = Math.max(1, Math.floor((high - offset) / size) - first + 1);
  const edge = (i: number): number => Number(((first + i) * size + offset).toPrecision(12));
  const at = Array.from({ length: Math.min(n, 500) }, (_, i) => i);
  return [{
    refId: frames[0].refId,
    fields: [
      { name: 'xMin', type: 'number', values: at.map(edge) },
      { name: 'xMax', type: 'number', values: at.map((i) => edge(i + 1)) },
      ...lists.map((l): Field => {
        const counts = new Array<number>(at.length).fill(0);
        for (const v of l.values) counts[Math.min(at.length - 1, Math.floor((v - offset) / size) - first)]++;
        return { name: l.name, type: 'number', values: counts };
      }),
    ],
  }];
};

function niceBucket(size: number): number {
  if (!(size > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(size));
  return [1, 2, 2.5, 4, 5, 10].map((m) => m * power).find((s) => s >= size) ?? size;
}

const operations: Record<string, Operation> = {
  organize, filterFieldsByName, filterByValue, sortBy, groupBy, labelsToFields, renameByRegex, groupingToMatrix, convertFieldType, extractFields, rowsToFields, configFromData, timeSeriesTable, transpose, histogram, calculateField,
  partitionByValues,
  reduce: reduceFrames,
  groupToNestedTable: groupBy,
  merge: (_o, frames) => merge(frames),
  joinByField: join,
  seriesToColumns: (o, frames) => join({ mode: 'outer', ...o }, frames),
  joinByLabels,
  seriesToRows: (_o, frames) => seriesToRows(frames),
  concatenate,
  filterByRefId: (o, frames) => {
    const hit = (side: Json, f: Frame): boolean => fits(pattern(`^(?:${String(side)})$`), f.refId);
    return frames.filter((f) => (!o.include || hit(o.include, f)) && !(o.exclude && hit(o.exclude, f)));
  },
  filterFields: (o, frames) => {
    const include = o.include ? fieldMatcher(o.include, () => true) : () => true;
    const exclude = o.exclude ? fieldMatcher(o.exclude, () => false) : () => false;
    return frames.map((frame) => withFields(frame, frame.fields.filter((f) => include(f, frame, frames) && !exclude(f, frame, frames))));
  },
  limit: (o, frames) => frames.map((frame) => take(frame, frame.fields[0]?.values.map((_, i) => i).slice(0, Number(o.limitField ?? 10)) ?? [])),
  formatString: (o, frames) => frames.map((frame) => withFields(frame, frame.fields.map((f) => (f.type === 'string' && (nameOf(f, frame, frames) === o.stringField || f.name === o.stringField) ? { ...f, values: f.values.map((v) => (v === null ? v : o.outputFormat === 'Substring' ? String(v).slice(o.substringStart ?? 0, o.substringEnd) : (FORMATS[o.outputFormat] ?? ((s: string) => s))(String(v)))) } : f)))),
  formatTime: (o, frames) => frames.map((frame) => withFields(frame, frame.fields.map((f) => (f.type === 'time' && (nameOf(f, frame, frames) === o.timeField || f.name === o.timeField) ? { ...f, type: 'string' as const, values: f.values.map((v) => (v === null ? v : dateText(o.outputFormat || 'YYYY-MM-DD HH:mm:ss', Number(v), o.timezone === 'utc'))) } : f)))),
};

export function transform(frames: Frame[], list: Transformation[]): Frame[] {
  let at = frames;
  for (const t of list) {
    const operation = Object.hasOwn(operations, t.id) ? operations[t.id] : undefined;
    if (t.disabled || !operation) continue;
    const refs = t.filter?.options !== undefined && t.filter.id === 'byRefId' ? pattern(`^(?:${String(t.filter.options)})$`) : null;
    const touched = refs === null ? at : at.filter((f) => fits(refs, f.refId));
    const made = operation(t.options ?? {}, touched);
    at = refs === null ? made : [...at.filter((f) => !fits(refs, f.refId)), ...made];
  }
  return at;
}
