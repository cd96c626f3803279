// Which fields, frames and rows the matchers of Grafana's files mean.
import { nameOf, type Cell, type Field, type Frame } from './frames';
import type { Json } from './model';
import { reduceCells } from './reduce';

// "/text/flags" looks anywhere, plain text must be the whole; null when it is no expression.
export function pattern(text: string): RegExp | null {
  try {
    if (!text.startsWith('/')) return new RegExp(`^${text}$`);
    const match = /^\/(.*)\/(g?i?m?y?s?)$/.exec(text);
    return match ? new RegExp(match[1], match[2]) : null;
  } catch {
    return null;
  }
}
export const fits = (re: RegExp | null, text: string): boolean => re !== null && new RegExp(re.source, re.flags.replace(/[gy]/g, '')).test(text);

type FieldTest = (f: Field, frame: Frame, all: Frame[]) => boolean;

// By the shown name or the field's own. "Value" also means a series that is named like its metric, "Time" any
// time, and "Trend" what files of before Grafana 10.2 call the column of series.
function named(names: Set<string>): FieldTest {
  const times = names.has('Time') || names.has('time');
  return (f, frame, all) =>
    names.has(f.name) || names.has(nameOf(f, frame, all)) || (names.has('Value') && f.labels?.__name__ !== undefined && f.labels.__name__ === f.name) || (times && f.type === 'time') || (names.has('Trend') && f.name.startsWith('Trend #'));
}

const byPattern = (text: string): FieldTest => {
  const re = text === '' ? null : pattern(text);
  return (f, frame, all) => fits(re, nameOf(f, frame, all));
};

// Nothing is meant by a matcher that nobody knows, everything that `otherwise` says by none at all.
export function fieldMatcher(matcher: { id: string; options?: Json } | undefined | null, otherwise: (f: Field) => boolean): FieldTest {
  if (!matcher?.id) return otherwise;
  const { id, options } = matcher;
  const list = (x: Json): string[] => (Array.isArray(x) ? x.map(String) : []);
  switch (id) {
    case 'byName': return named(new Set([String(options ?? '')]));
    case 'byNames': {
      const hit = named(new Set(list(Array.isArray(options) ? options : options?.names)));
      return options?.mode === 'exclude' ? (f, frame, all) => !hit(f, frame, all) : hit;
    }
    case 'byRegexp': return byPattern(String(options ?? ''));
    case 'byRegexpOrNames': {
      const one = byPattern(String(options?.pattern ?? ''));
      const other = named(new Set(list(options?.names)));
      return (f, frame, all) => other(f, frame, all) || one(f, frame, all);
    }
    case 'byType': return (f) => f.type === options;
    case 'byTypes': return (f) => list(options).includes(f.type);
    case 'numeric': return (f) => f.type === 'number';
    case 'time': return (f) => f.type === 'time';
    case 'first': return (f, frame) => f === frame.fields[0];
    case 'firstTimeField': return (f, frame) => f === frame.fields.find((x) => x.type === 'time');
    case 'byFrameRefID': return (_f, frame) => frame.refId === options;
    case 'byValue': {
      if (!options?.reducer) return () => false;
      const whether = /^allIs/.test(String(options.reducer));
      return (f) => {
        const left = reduceCells(f.values, String(options.reducer));
        return whether ? left === true : compare(options.op ?? 'eq', left, options.value);
      };
    }
    case 'alwaysMatch': return () => true;
    case 'anyMatch': return (f, frame, all) => (options ?? []).some((m: Json) => fieldMatcher(m, () => false)(f, frame, all));
    case 'allMatch': return (f, frame, all) => (options ?? []).every((m: Json) => fieldMatcher(m, () => false)(f, frame, all));
    case 'invertMatch': {
      const inner = fieldMatcher(options, () => false);
      return (f, frame, all) => !inner(f, frame, all);
    }
  }
  return () => false;
}

// What is missing is only ever equal to what is missing too.
export function compare(op: string | undefined, a: Cell, b: Cell): boolean {
  const missing = a === null || a === undefined || b === null || b === undefined;
  const left = (a ?? 'null') as number;
  const right = (b ?? 'null') as number;
  switch (op) {
    case '=': case '==': case 'eq': return String(left) === String(right);
    case '!=': case 'ne': case 'neq': case '<>': return String(left) !== String(right);
    case '>': case 'gt': return left > right;
    case '>=': case 'gte': return missing ? String(left) === String(right) : left >= right;
    case '<': case 'lt': return left < right;
    case '<=': case 'lte': return missing ? String(left) === String(right) : left <= right;
  }
  return false;
}

// Frames by their query: a letter, several as "A|B", or "/expression/".
export function refMatcher(options: Json): (frame: Frame) => boolean {
  const text = String(options ?? '');
  if (text.startsWith('/')) {
    const re = pattern(text);
    return (frame) => fits(re, frame.refId);
  }
  const refs = text.split('|');
  return (frame) => refs.includes(frame.refId);
}

export function frameMatcher(matcher: { id: string; options?: Json } | undefined): ((frame: Frame, at: number) => boolean) | null {
  switch (matcher?.id) {
    case 'byRefId': return refMatcher(matcher.options);
    case 'byName': {
      const re = pattern(String(matcher.options ?? '/.*/'));
      return (frame) => fits(re, frame.name ?? '');
    }
    case 'byIndex': return (_frame, at) => at === Number(matcher.options);
  }
  return null;
}

// Which rows a filter by value means.
export function valueTest(config: Json, field: Field): (row: number) => boolean {
  const opt = config.options ?? {};
  const at = (i: number): Cell => field.values[i];
  const number = (test: (v: number) => boolean) => (i: number): boolean => !Number.isNaN(Number(at(i) ?? 0)) && test(Number(at(i) ?? 0));
  switch (config.id) {
    case 'greater': return number((v) => v > opt.value);
    case 'greaterOrEqual': return number((v) => v >= opt.value);
    case 'lower': return number((v) => v < opt.value);
    case 'lowerOrEqual': return number((v) => v <= opt.value);
    // eslint-disable-next-line eqeqeq
    case 'equal': return (i) => at(i) == opt.value;
    // eslint-disable-next-line eqeqeq
    case 'notEqual': return (i) => at(i) != opt.value;
    case 'isNull': return (i) => at(i) === null || at(i) === undefined;
    case 'isNotNull': return (i) => at(i) !== null && at(i) !== undefined;
    case 'regex': {
      let re: RegExp | null = null;
      try {
        re = new RegExp(String(opt.value ?? '.*'));
      } catch {
        // What is no expression fits nothing.
      }
      return (i) => at(i) !== null && at(i) !== undefined && fits(re, String(at(i)));
    }
    case 'substring': return (i) => opt.value === '' || (typeof at(i) === 'string' && !!opt.value && (at(i) as string).toLowerCase().includes(String(opt.value).toLowerCase()));
    case 'notSubstring': return (i) => typeof at(i) === 'string' && at(i) !== '' && !!opt.value && !(at(i) as string).toLowerCase().includes(String(opt.value).toLowerCase());
    case 'between':
    case 'range': {
      const edge = (x: Json): number => (typeof x === 'number' ? x : parseInt(String(x), 10));
      return number((v) => v > edge(opt.from) && v < edge(opt.to));
    }
  }
  return () => true;
}
