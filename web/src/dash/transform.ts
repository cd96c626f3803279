// Grafana's transformations: frames in, frames out. What is unknown changes nothing.
import { calculateField } from './calculate';
import { held, nameOf, NESTED, orderOf, rowsOf, take, withFields, type Cell, type Field, type Frame } from './frames';
import { join, joinByLabels, merge, concatenate, seriesToRows } from './join';
import { fieldMatcher, fits, frameMatcher, pattern, refMatcher, valueTest } from './matchers';
import type { Json } from './model';
import { reduceCells, reducerName } from './reduce';
import { configFromData, extractFields, histogram, partitionByValues, prepareTimeSeries, regression, rowsToFields, smoothing, timeSeriesTable, transpose } from './shape';
import { dateText } from './unit_time';

export interface Transformation {
  id: string;
  options: Json;
  disabled?: boolean;
  filter?: { id: string; options: Json };
}
type Operation = (o: Json, frames: Frame[]) => Frame[];

const chosen = (by: Json): string[] => Object.keys(by ?? {}).filter((name) => by[name]);

// Fields are kept by one matcher, taken away by another; frames without fields go.
const filterFields: Operation = (o, frames) => {
  if (!o.include && !o.exclude) return frames;
  const include = o.include ? fieldMatcher(o.include, () => true) : null;
  const exclude = o.exclude ? fieldMatcher(o.exclude, () => false) : null;
  return frames
    .map((frame) => withFields(frame, frame.fields.filter((f) => !exclude?.(f, frame, frames) && (include === null || include(f, frame, frames)))))
    .filter((frame) => frame.fields.length > 0);
};

const auto = new Intl.Collator(undefined, { sensitivity: 'base', numeric: true });

type Names = Map<Field, string>;
const namesOf = (frames: Frame[], alone: boolean): Names => new Map(frames.flatMap((frame) => frame.fields.map((f): [Field, string] => [f, nameOf(f, frame, alone ? [frame] : frames)])));

const order = (o: Json, frames: Frame[], names: Names = namesOf(frames, false)): Frame[] =>
  frames.map((frame) => {
    if (o.orderByMode === 'auto') {
      const by: { type?: string; name?: string; desc?: boolean }[] = Array.isArray(o.orderBy) ? o.orderBy : [];
      const time = frame.fields.find((f) => f.type === 'time');
      const key = (f: Field, k: (typeof by)[0]): string => (k.type === 'label' ? (f.labels?.[k.name ?? ''] ?? '') : nameOf(f, frame, frames));
      const compareBy = (a: Field, b: Field): number => by.reduce((so, k) => so || auto.compare(key(a, k), key(b, k)) * (k.desc ? -1 : 1), 0);
      return withFields(frame, [...frame.fields].sort((a, b) => (a === time ? -1 : b === time ? 1 : compareBy(a, b))));
    }
    const place = (f: Field): number => {
      const at = o.indexByName?.[names.get(f)!];
      return Number.isInteger(at) ? at : Number.MAX_SAFE_INTEGER;
    };
    return withFields(frame, frame.fields.map((f, i) => ({ f, i })).sort((a, b) => place(a.f) - place(b.f) || a.i - b.i).map(({ f }) => f));
  });

// A name here is the one that the field has in its own frame.
const rename = (o: Json, frames: Frame[], names: Names = namesOf(frames, true)): Frame[] =>
  frames.map((frame) => withFields(frame, frame.fields.map((f) => {
    const to = o.renameByName?.[names.get(f)!];
    return typeof to === 'string' && to !== '' ? { ...f, shown: to } : f;
  })));

const byNames = (names: string[]): Json => (names.length > 0 ? { id: 'byNames', options: { names } } : undefined);

// Fields keep the names that they had in the beginning: "host 2" is not "host 1" when the first one has gone.
const organize: Operation = (o, frames) => {
  const [names, own] = [namesOf(frames, false), namesOf(frames, true)];
  return rename(o, order(o, filterFields({ include: byNames(chosen(o.includeByName)), exclude: byNames(chosen(o.excludeByName)) }, frames), names), own);
};

const filterFieldsByName: Operation = (o, frames) => {
  const matcher = (side: Json): Json => {
    if (!side) return undefined;
    if (o.byVariable && typeof side.variable === 'string' && side.variable !== '') return byNames(side.variable.split(/[,|]/).map((s: string) => s.replace(/^[({]|[)}]$/g, '').trim()));
    const names: string[] = Array.isArray(side.names) ? side.names : [];
    return !side.pattern ? byNames(names) : names.length === 0 ? { id: 'byRegexp', options: side.pattern } : { id: 'byRegexpOrNames', options: { pattern: side.pattern, names } };
  };
  return filterFields({ include: matcher(o.include), exclude: matcher(o.exclude) }, frames);
};

const filterByValue: Operation = (o, frames) => {
  const filters: Json[] = Array.isArray(o.filters) ? o.filters : [];
  if (filters.length === 0) return frames;
  return frames.map((frame) => {
    // A field that is not there fits no row.
    const tests = filters.map((x: Json) => {
      const field = frame.fields.filter((f) => nameOf(f, frame, frames) === x?.fieldName).pop();
      return field ? valueTest(x.config ?? {}, field) : () => false;
    });
    const keep: number[] = [];
    for (let i = 0; i < rowsOf(frame); i++) {
      const hit = o.match === 'all' ? tests.every((t) => t(i)) : tests.some((t) => t(i));
      if (hit === ((o.type ?? 'include') === 'include')) keep.push(i);
    }
    return take(frame, keep);
  });
};

const sortBy: Operation = (o, frames) =>
  frames.map((frame) => {
    const sort = o.sort?.[0];
    const field = sort ? (sort.index !== undefined && sort.index !== null ? frame.fields[sort.index] : frame.fields.find((f) => nameOf(f, frame, [frame]) === sort.field)) : undefined;
    return field ? take(frame, orderOf(field.values, sort.desc === true)) : frame;
  });

const COUNTS = new Set(['count', 'countAll', 'distinctCount', 'changeCount']);
const typeAfter = (how: string, type: Field['type']): Field['type'] => (COUNTS.has(how) ? 'number' : /^allIs/.test(how) ? 'boolean' : /^all(Values)$|^uniqueValues$/.test(how) ? 'string' : type);

// The rows that say the same in these columns.
function rowsBy(keys: Field[], count: number): number[][] {
  const groups = new Map<string, number[]>();
  for (let i = 0; i < count; i++) {
    const key = String(keys.map((f) => f.values[i]));
    const list = groups.get(key);
    if (list) list.push(i);
    else groups.set(key, [i]);
  }
  return [...groups.values()];
}
const listOf = (v: Json): string[] => (Array.isArray(v) ? v : []);

const groupBy: Operation = (o, frames) => {
  // Of one frame the shown name counts, of several the field's own.
  const own = (f: Field, frame: Frame): string => (frames.length === 1 ? nameOf(f, frame, frames) : (f.shown ?? f.name));
  const spec = (f: Field, frame: Frame): Json => o.fields?.[own(f, frame)] ?? o.fields?.[f.name] ?? o.fields?.[nameOf(f, frame, frames)];
  if (!Object.values(o.fields ?? {}).some((s: Json) => s?.operation === 'groupby')) return frames;
  return frames.flatMap((frame) => {
    const keys = frame.fields.filter((f) => spec(f, frame)?.operation === 'groupby');
    if (keys.length === 0) return [];
    const lists = rowsBy(keys, rowsOf(frame));
    const fields: Field[] = keys.map((f) => ({ ...f, labels: undefined, values: lists.map((l) => f.values[l[0]]) }));
    for (const f of frame.fields) {
      const s = spec(f, frame);
      const how = listOf(s?.aggregations);
      if (s?.operation !== 'aggregate' && !(s?.operation === 'groupby' && how.length === 1 && how[0] === 'count')) continue;
      for (const h of how) fields.push({ name: `${own(f, frame)} (${h})`, type: typeAfter(h, f.type), values: lists.map((l) => reduceCells(l.map((i) => f.values[i]), h)) });
    }
    return [{ refId: frame.refId, fields }];
  });
};

const reduceFrames: Operation = (o, frames) => {
  const how: string[] = Array.isArray(o.reducers) ? o.reducers.filter((h: Json) => typeof h === 'string') : ['max'];
  if (how.length === 0) return frames;
  const whole = o.mode === 'reduceFields';
  const wanted = fieldMatcher(o.fields, (f) => f.type !== 'time' || (whole && o.includeTimeField === true));
  if (whole) {
    return frames
      .map((frame) => withFields(frame, frame.fields.filter((f) => wanted(f, frame, frames)).flatMap((f) =>
        how.map((h): Field => ({ ...f, type: typeAfter(h, f.type), ...(how.length > 1 && { labels: { ...f.labels, reducer: reducerName(h) }, shown: f.shown === undefined ? undefined : `${f.shown} ${reducerName(h)}` }), values: [reduceCells(f.values, h)] })))))
      .filter((f) => f.fields.length > 0);
  }
  const all = frames.flatMap((frame) => frame.fields.filter((f) => wanted(f, frame, frames)).map((f) => ({ f, frame })));
  const labels = o.labelsToFields ? [...new Set(all.flatMap(({ f }) => Object.keys(f.labels ?? {})))] : [];
  return [{
    refId: `reduce-${frames.map((f) => f.refId).join('-')}`,
    fields: [
      { name: 'Field', type: 'string', values: all.map(({ f, frame }) => (o.labelsToFields ? f.name : nameOf(f, frame, frames))) },
      ...labels.map((l): Field => ({ name: l, type: 'string', values: all.map(({ f }) => f.labels?.[l] ?? null) })),
      ...how.map((h): Field => {
        const values = all.map(({ f }) => reduceCells(f.values, h) ?? (f.values.length === 0 ? null : NaN));
        const first = values.find((v) => typeof v !== 'number' || !Number.isNaN(v));
        return { name: reducerName(h), type: typeof first === 'string' ? 'string' : typeof first === 'boolean' ? 'boolean' : 'number', values };
      }),
    ],
  }];
};

const labelsToFields: Operation = (o, frames) => {
  if (o.mode === 'rows') {
    return frames.flatMap((frame) => frame.fields.filter((f) => Object.keys(f.labels ?? {}).length > 0).map((f): Frame => {
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
  const re = pattern(String(o.regex ?? '(.*)'));
  if (re === null) return frames;
  return frames.map((frame) => withFields(frame, frame.fields.map((f) => {
    const name = nameOf(f, frame, [frame]);
    const made = fits(re, name) ? name.replace(re, o.renamePattern ?? '$1') : '';
    // A name of nothing is no name.
    return made === '' ? f : { ...f, shown: made };
  })));
};

const groupingToMatrix: Operation = (o, frames) => {
  if (frames.length !== 1) return frames;
  const [frame] = frames;
  const keyed = (name: string): Field | undefined => frame.fields.find((f) => fieldMatcher({ id: 'byName', options: name }, () => false)(f, frame, frames));
  const [column, row, value] = [keyed(o.columnField || 'Time'), keyed(o.rowField || 'Time'), keyed(o.valueField || 'Value')];
  if (!column || !row || !value) return frames;
  const cells = new Map<string, Cell>();
  value.values.forEach((v, i) => cells.set(`${column.values[i]}\u0000${row.values[i]}`, v));
  const rows = [...new Set(row.values)];
  const none: Cell = o.emptyValue === 'null' ? null : o.emptyValue === 'true' ? true : o.emptyValue === 'false' ? false : o.emptyValue === 'zero' ? 0 : '';
  return [{
    refId: frame.refId,
    fields: [
      { name: `${o.rowField || 'Time'}\\${o.columnField || 'Time'}`, type: row.type, values: rows },
      ...[...new Set(column.values)].map((c): Field => ({ name: String(c), type: value.type, config: value.config, values: rows.map((r) => cells.get(`${c}\u0000${r}`) ?? none) })),
    ],
  }];
};

const moment = (v: Cell, form: Json): Cell => {
  if (v === null || v === undefined || v === '') return null;
  if (typeof v === 'number') return form === 'X' ? v * 1000 : v;
  const at = form === 'X' ? Number(v) * 1000 : /^\d+$/.test(String(v)) ? Number(v) : Date.parse(String(v));
  return Number.isFinite(at) ? at : null;
};

function converted(f: Field, to: Json): Field {
  const text = (v: Cell): string => (f.type === 'string' ? JSON.stringify(v) : f.type === 'time' ? dateText(to.dateFormat || 'YYYY-MM-DDTHH:mm:ssZ', Number(v), to.timezone === 'utc') : String(v));
  const number = (v: Cell): Cell => {
    const n = v === null || v === undefined || v === '' ? NaN : Number(typeof v === 'string' ? v.replace(/,/g, '') : v);
    return Number.isFinite(n) ? n : null;
  };
  switch (to.destinationType) {
    case 'number': return { ...f, type: 'number', values: f.values.map(number) };
    case 'string': return { ...f, type: 'string', values: f.values.map(text) };
    case 'boolean': return { ...f, type: 'boolean', values: f.values.map((v) => Boolean(v)) };
    case 'time': return { ...f, type: 'time', values: f.type === 'time' ? f.values : f.values.map((v) => moment(v, to.dateFormat)) };
  }
  return f;
}

const convertFieldType: Operation = (o, frames) =>
  (Array.isArray(o.conversions) ? o.conversions : []).filter((c: Json) => c?.targetField).reduce((at: Frame[], c: Json) => {
    const meant = fieldMatcher({ id: 'byName', options: c.targetField }, () => false);
    return at.map((frame) => withFields(frame, frame.fields.map((f) => (meant(f, frame, at) ? converted(f, c) : f))));
  }, frames);

const capital = (s: string): string[] => s.split(' ').map((w) => w.charAt(0).toUpperCase() + w.slice(1).toLowerCase());
const FORMATS: Record<string, (s: string) => string> = {
  'Upper Case': (s) => s.toUpperCase(), 'Lower Case': (s) => s.toLowerCase(), 'Sentence Case': (s) => s.charAt(0).toUpperCase() + s.slice(1), 'First Letter': (s) => s.charAt(0).toUpperCase() + s.slice(1),
  'Title Case': (s) => capital(s).join(' '), 'Pascal Case': (s) => capital(s).join(''), 'Camel Case': (s) => capital(s).join('').replace(/^./, (c) => c.toLowerCase()), Trim: (s) => s.trim(),
  'Snake Case': (s) => s.toLowerCase().split(' ').join('_'), 'Kebab Case': (s) => s.toLowerCase().split(' ').join('-'),
};

const formatString: Operation = (o, frames) => {
  const meant = fieldMatcher({ id: 'byName', options: o.stringField ?? '' }, () => false);
  const form = (s: string): string => (o.outputFormat === 'Substring' ? s.substring(Number(o.substringStart ?? 0), o.substringEnd === undefined ? undefined : Number(o.substringEnd)) : (FORMATS[o.outputFormat ?? 'Upper Case'] ?? ((x: string) => x))(s));
  return frames.map((frame) => withFields(frame, frame.fields.map((f) => (meant(f, frame, frames) ? { ...f, type: 'string' as const, values: f.values.map((v) => (v === null || v === undefined ? v : form(String(v)))) } : f))));
};

const formatTime: Operation = (o, frames) =>
  frames.map((frame) => withFields(frame, frame.fields.map((f) => (f.type === 'time' && nameOf(f, frame, frames) === o.timeField ? converted(f, { destinationType: 'string', dateFormat: o.outputFormat, timezone: o.timezone }) : f))));

const limit: Operation = (o, frames) => {
  const n = parseInt(String(o.limitField ?? 10), 10) || 0;
  return frames.map((frame) => {
    const rows = Array.from({ length: rowsOf(frame) }, (_, i) => i);
    return rows.length > n ? take(frame, n >= 0 ? rows.slice(0, n) : rows.slice(n)) : frame;
  });
};

const filterFrames: Operation = (o, frames) => {
  const include = frameMatcher(o.include);
  const exclude = frameMatcher(o.exclude);
  return frames.filter((f, i) => !exclude?.(f, i) && (include === null || include(f, i)));
};

// Groups whose rows stay in a cell: what is neither the key of a group nor calculated, or is said to be kept.
const groupToNestedTable: Operation = (o, frames) => {
  const rules: Json[] = Array.isArray(o.rules) ? o.rules.filter((r: Json) => r?.matcher?.id) : Object.entries(o.fields ?? {}).map(([name, spec]) => ({ matcher: { id: 'byName', options: name }, ...(spec as Json) }));
  if (!rules.some((r) => r.operation === 'groupby')) return frames;
  const tests = rules.map((r) => fieldMatcher(r.matcher, () => false));
  return frames.flatMap((frame) => {
    const ruleOf = (f: Field): Json => rules.find((_, i) => tests[i](f, frame, frames));
    const keys = frame.fields.filter((f) => ruleOf(f)?.operation === 'groupby');
    if (keys.length === 0) return [];
    const groups = rowsBy(keys, rowsOf(frame));
    const fields: Field[] = keys.map((f) => ({ ...f, labels: undefined, values: groups.map((l) => f.values[l[0]]) }));
    for (const f of frame.fields) {
      const r = ruleOf(f);
      if (r?.operation !== 'aggregate') continue;
      for (const h of listOf(r.aggregations)) fields.push({ name: `${nameOf(f, frame, [frame])} (${h})`, type: typeAfter(h, f.type), values: groups.map((l) => reduceCells(l.map((i) => f.values[i]), h)) });
    }
    const inside = frame.fields.filter((f) => {
      const r = ruleOf(f);
      return !r || !r.operation || (r.operation === 'aggregate' && (listOf(r.aggregations).length === 0 || r.keepNestedField === true));
    });
    const rows = (list: number[]): Frame => ({ ...take(withFields(frame, inside), list), bare: o.showSubframeHeaders === false });
    return [{ refId: frame.refId, open: o.expandAllRows === true, fields: [...fields, { name: NESTED, type: 'number', values: groups.map((l) => held(l.length, [rows(l)])) }] }];
  });
};

const operations: Record<string, Operation> = {
  organize, order: (o, frames) => order(o, frames), rename: (o, frames) => rename(o, frames), filterFieldsByName, filterFields, filterFrames, filterByValue, sortBy, groupBy, groupToNestedTable, labelsToFields, renameByRegex, groupingToMatrix, convertFieldType, extractFields, rowsToFields, configFromData, timeSeriesTable, transpose, histogram, calculateField,
  partitionByValues, prepareTimeSeries, regression, smoothing, formatString, formatTime, limit,
  reduce: reduceFrames,
  merge: (_o, frames) => merge(frames),
  joinByField: join,
  seriesToColumns: join,
  joinByLabels,
  seriesToRows: (_o, frames) => seriesToRows(frames),
  concatenate,
  ensureColumns: (_o, frames) => (frames.length > 1 && frames.every((f) => f.fields.some((x) => x.type === 'time')) ? join({}, frames) : frames),
  append: (_o, frames) => frames.slice(0, 1).map((frame) => withFields(frame, frames.flatMap((f) => f.fields))),
  filterByRefId: (o, frames) => filterFrames({ include: o.include ? { id: 'byRefId', options: o.include } : undefined, exclude: o.exclude ? { id: 'byRefId', options: o.exclude } : undefined }, frames),
};

export function transform(frames: Frame[], list: Transformation[]): Frame[] {
  let at = frames;
  for (const t of list) {
    const operation = Object.hasOwn(operations, t.id) ? operations[t.id] : undefined;
    if (t.disabled || !operation) continue;
    const meant = t.filter?.options !== undefined && t.filter.options !== '' ? (frameMatcher(t.filter) ?? refMatcher(t.filter.options)) : null;
    if (meant === null) {
      at = operation(t.options ?? {}, at);
      continue;
    }
    // The others stand where the first of them stood.
    const others = at.filter((f, i) => !meant(f, i));
    const place = Math.max(0, at.findIndex((f, i) => i > 0 && !meant(f, i)));
    const made = operation(t.options ?? {}, at.filter(meant)).slice();
    made.splice(place, 0, ...others);
    at = made;
  }
  return at;
}
