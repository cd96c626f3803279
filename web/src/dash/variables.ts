import { get, query } from '../api/client';
import { ALL, fill, SOURCE, type Scope, type Times } from './interpolate';
export { ALL, fill, SOURCE, type Chosen, type Scope, type Times } from './interpolate';
import { filterText } from './adhoc';
import { filtered, sorted } from './choices';
import type { Dashboard, Variable } from './model';

// Variables: what they may be, what they are, and how "$name" becomes text.

// A query of a variable is a function of labels and metrics, a query in PromQL, or a selector of series.
export type VariableQuery =
  | { kind: 'values'; label: string; match: string }
  | { kind: 'names'; match: string }
  | { kind: 'metrics'; pattern: string }
  | { kind: 'result'; expr: string }
  | { kind: 'series'; match: string };

export function readQuery(text: string): VariableQuery {
  let match = /^\s*label_values\(\s*(?:(.+?)\s*,)?\s*["']?([a-zA-Z_][\w.:/-]*)["']?\s*\)\s*$/s.exec(text);
  if (match) return { kind: 'values', label: match[2], match: (match[1] ?? '').trim() };
  match = /^\s*label_names\((.*)\)\s*$/s.exec(text);
  if (match) return { kind: 'names', match: match[1].trim() };
  match = /^\s*metrics\((.*)\)\s*$/s.exec(text);
  if (match) return { kind: 'metrics', pattern: match[1].trim().replace(/^(["'])(.*)\1$/, '$2') };
  match = /^\s*query_result\((.*)\)\s*$/s.exec(text);
  if (match) return { kind: 'result', expr: match[1] };
  return { kind: 'series', match: text.trim() };
}

const seriesText = ({ __name__ = '', ...labels }: Record<string, string>): string => `${__name__}{${Object.entries(labels).map(([k, v]) => `${k}="${v}"`).join(',')}}`;

async function resultsOf(expr: string, times: Times, signal: AbortSignal): Promise<string[]> {
  const { data } = await query(expr, times.to, signal);
  if (data.resultType === 'vector') return data.result.map((s) => `${seriesText(s.metric)} ${s.value?.[1] ?? 'NaN'} ${Math.round((s.value?.[0] ?? 0) * 1000)}`);
  return data.resultType === 'scalar' || data.resultType === 'string' ? [data.result[1]] : [];
}

async function asked(text: string, times: Times, signal: AbortSignal): Promise<string[]> {
  const bounds = { start: String(times.from), end: String(times.to) };
  const q = readQuery(text);
  const matching = (match: string): Record<string, string> => (match === '' ? bounds : { ...bounds, 'match[]': match });
  switch (q.kind) {
    case 'values': return (await get<string[]>(`label/${encodeURIComponent(q.label)}/values`, matching(q.match), signal)).data;
    case 'names': return (await get<string[]>('labels', matching(q.match), signal)).data;
    case 'metrics': {
      const re = new RegExp(q.pattern || '.*');
      return (await get<string[]>('label/__name__/values', bounds, signal)).data.filter((n) => re.test(n));
    }
    case 'result': return resultsOf(q.expr, times, signal);
  }
  try {
    return (await get<Record<string, string>[]>('series', matching(q.match), signal)).data.map(seriesText);
  } catch (e) {
    if (signal.aborted) throw e;
    return resultsOf(q.match, times, signal); // No selector: PromQL.
  }
}

const KNOWN = new Set(['query', 'custom', 'constant', 'interval', 'datasource']);
const names = (text: string): Set<string> => new Set([...text.matchAll(/\$\{?(\w+)|\[\[(\w+)/g)].map((m) => m[1] ?? m[2]));

export function dependsOn(v: Variable, name: string): boolean {
  return names(v.query).has(name) || names(v.regex).has(name);
}

// Each after what it depends on, else in the order of the file.
export function inOrder(variables: Variable[]): Variable[] {
  const out: Variable[] = [];
  const begun = new Set<Variable>();
  const visit = (v: Variable): void => {
    if (begun.has(v)) return;
    begun.add(v);
    for (const other of variables) if (other !== v && dependsOn(v, other.name)) visit(other);
    out.push(v);
  };
  variables.forEach(visit);
  return out;
}

async function optionsOf(v: Variable, board: Dashboard, scope: Scope, times: Times, signal: AbortSignal): Promise<{ text: string; value: string }[]> {
  const say = (text: string): string => fill(text, board, scope, times, 'text');
  switch (v.type) {
    case 'datasource':
      // Whatever kind the file wants, there is one source: this server.
      return [{ text: 'Vedette', value: SOURCE }];
    case 'interval': {
      const list = say(v.query).split(',').map((t) => t.trim().replace(/^(["'])(.*)\1$/, '$2')).filter((t) => t !== '' && t !== 'auto').map((t) => ({ text: t, value: t }));
      return v.auto ? [{ text: 'auto', value: '$__auto_interval_' + v.name }, ...list] : list;
    }
    case 'custom': {
      const given = jsonOptions(v.query);
      if (given) return given;
      const list = v.query === '' ? v.options.filter((o) => o.value !== ALL).map((o) => o.value) : say(v.query).match(/(?:\\,|[^,])+/g) ?? [];
      return list.map((t) => {
        const pair = /^\s*(.+?)\s:\s(.+)$/.exec(t);
        const clean = (s: string): string => s.replace(/\\,/g, ',').trim();
        return pair ? { text: clean(pair[1]), value: clean(pair[2]) } : { text: clean(t), value: clean(t) };
      });
    }
    case 'constant':
      return [{ text: say(v.query), value: say(v.query) }];
    case 'query': {
      if (v.query === '') return v.options.filter((o) => o.value !== ALL);
      const text = fill(v.query, board, scope, times);
      return sorted(filtered(await asked(text, times, signal), fill(v.regex, board, scope, times, 'text')), v.sort);
    }
  }
  return v.options.filter((o) => o.value !== ALL);
}

// Newer files may give a list of objects in place of words and commas.
function jsonOptions(text: string): { text: string; value: string }[] | null {
  if (!/^\s*\[\s*[{"]/.test(text)) return null;
  try {
    const got: unknown = JSON.parse(text);
    if (!Array.isArray(got)) return null;
    return got.map((o) => (o !== null && typeof o === 'object' ? { text: String(o.text ?? o.value ?? ''), value: String(o.value ?? o.text ?? '') } : { text: String(o), value: String(o) }));
  } catch {
    return null;
  }
}

const list = (v: unknown): string[] => (Array.isArray(v) ? v.map(String) : v === undefined || v === null ? [] : [String(v)]);

// What each variable is. `known` is kept where nothing that it depends on changed.
export async function resolve(board: Dashboard, params: URLSearchParams, times: Times, signal: AbortSignal, known: Scope = {}, changed: string | null = null): Promise<Scope> {
  const scope: Scope = {};
  const dirty = new Set<string>(changed === null ? [] : [changed]);
  for (const v of inOrder(board.variables)) {
    const inAddress = params.getAll(`var-${v.name}`);
    if (v.type === 'adhoc') {
      const given = inAddress.length > 0 ? inAddress.filter((t) => t !== '') : v.filters.map(filterText);
      scope[v.name] = { values: given, texts: given, options: [] };
      if (known[v.name] && JSON.stringify(known[v.name].values) !== JSON.stringify(given)) dirty.add(v.name);
      continue;
    }
    if (v.type === 'textbox') {
      const value = inAddress[0] ?? fill(list(v.current.value)[0] ?? v.query, board, scope, times, 'text');
      scope[v.name] = { values: [value], texts: [value], options: [] };
      continue;
    }
    const stale = changed === null || [...dirty].some((d) => dependsOn(v, d));
    let options = known[v.name]?.options;
    let error: string | undefined;
    if (stale || !options) {
      try {
        options = await optionsOf(v, board, scope, times, signal);
        if (v.includeAll) options = [{ text: 'All', value: ALL }, ...options];
      } catch (e) {
        if (signal.aborted) throw e;
        error = (e as Error).message;
        options = v.options;
      }
    }
    const allowed = (value: string): boolean => options!.some((o) => o.value === value);
    // "auto" of an interval has been written in three ways.
    const automatic = (t: string): string => (v.type === 'interval' && v.auto && /^(auto$|\$__auto)/.test(t) ? (options!.find((o) => o.value.startsWith('$__auto'))?.value ?? t) : t);
    const named = inAddress.map(automatic).map((t) => (t === 'All' && v.includeAll ? ALL : (options!.find((o) => o.value === t || o.text === t)?.value ?? t)));
    let values = named.length > 0 ? named : (known[v.name]?.values ?? list(v.current.value).map(automatic).map((c) => (c === 'All' && v.includeAll ? ALL : c)));
    if (named.length === 0) values = values.filter(allowed);
    // A kind of variable that nobody knows keeps what the file says.
    if (values.length === 0 && options.length === 0 && !KNOWN.has(v.type)) values = list(v.current.value);
    if (values.length === 0) {
      const byText = list(v.current.text).filter((t) => t !== 'All').map((t) => options!.find((o) => o.text === t)?.value).filter((x): x is string => x !== undefined);
      values = byText.length > 0 ? byText : options.length > 0 ? [options[0].value] : [];
    }
    if (!v.multi) values = values.slice(0, 1);
    if (values.length > 1) values = values.filter((x) => x !== ALL);
    if (known[v.name] && JSON.stringify(known[v.name].values) !== JSON.stringify(values)) dirty.add(v.name);
    scope[v.name] = { values, texts: values.map((x) => options!.find((o) => o.value === x)?.text ?? x), options, error };
  }
  return scope;
}

