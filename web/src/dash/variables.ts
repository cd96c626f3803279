import { get, query } from '../api/client';
import { number } from '../format/value';
import { parseDuration } from '../format/time';
import { ALL, fill, SOURCE, type Scope, type Times } from './interpolate';
export { ALL, fill, SOURCE, type Chosen, type Scope, type Times } from './interpolate';
import { filterText } from './adhoc';
import { filtered, sorted } from './choices';
import type { Dashboard, Variable } from './model';

// Variables: what they may be, what they are, and how "$name" becomes text.

async function asked(text: string, times: Times, signal: AbortSignal): Promise<string[]> {
  const bounds = { start: String(times.from), end: String(times.to) };
  let match = /^\s*label_values\(\s*(?:(.+?)\s*,)?\s*"?([a-zA-Z_][\w.:-]*)"?\s*\)\s*$/s.exec(text);
  if (match) return (await get<string[]>(`label/${encodeURIComponent(match[2])}/values`, match[1] ? { ...bounds, 'match[]': match[1].trim() } : bounds, signal)).data;
  match = /^\s*label_names\((.*)\)\s*$/s.exec(text);
  if (match) return (await get<string[]>('labels', match[1].trim() ? { ...bounds, 'match[]': match[1].trim() } : bounds, signal)).data;
  match = /^\s*metrics\((.*)\)\s*$/s.exec(text);
  if (match) {
    const re = new RegExp(match[1].trim() || '.*');
    return (await get<string[]>('label/__name__/values', bounds, signal)).data.filter((n) => re.test(n));
  }
  match = /^\s*query_result\((.*)\)\s*$/s.exec(text);
  const expr = match ? match[1] : text;
  const { data } = await query(expr, times.to, signal);
  if (data.resultType === 'vector') {
    return data.result.map((s) => {
      const { __name__ = '', ...labels } = s.metric;
      return `${__name__}{${Object.entries(labels).map(([k, v]) => `${k}="${v}"`).join(',')}} ${number(s.value?.[1] ?? 'NaN')} ${Math.round((s.value?.[0] ?? 0) * 1000)}`;
    });
  }
  return data.resultType === 'scalar' ? [data.result[1]] : [];
}

const names = (text: string): Set<string> => new Set([...text.matchAll(/\$\{?(\w+)|\[\[(\w+)/g)].map((m) => m[1] ?? m[2]));

export function dependsOn(v: Variable, name: string): boolean {
  return names(v.query).has(name) || names(v.regex).has(name);
}

async function optionsOf(v: Variable, board: Dashboard, scope: Scope, times: Times, signal: AbortSignal): Promise<{ text: string; value: string }[]> {
  switch (v.type) {
    case 'datasource':
      // Whatever kind the file wants, there is one source: this server.
      return [{ text: 'Vedette', value: SOURCE }];
    case 'interval': {
      const list = v.query.split(',').map((t) => t.trim()).filter(Boolean).map((t) => ({ text: t, value: t }));
      return v.auto ? [{ text: 'auto', value: '$__auto_interval_' + v.name }, ...list] : list;
    }
    case 'custom': {
      const list = v.query === '' ? v.options.filter((o) => o.value !== ALL).map((o) => o.value) : v.query.match(/(?:\\,|[^,])+/g) ?? [];
      return list.map((t) => {
        const pair = /^\s*(.+?)\s:\s(.+)$/.exec(t);
        const clean = (s: string): string => s.replace(/\\,/g, ',').trim();
        return pair ? { text: clean(pair[1]), value: clean(pair[2]) } : { text: clean(t), value: clean(t) };
      });
    }
    case 'constant':
      return [{ text: v.query, value: v.query }];
    case 'query': {
      if (v.query === '') return v.options.filter((o) => o.value !== ALL);
      const text = fill(v.query, board, scope, times);
      return sorted(filtered(await asked(text, times, signal), fill(v.regex, board, scope, times, 'text')), v.sort);
    }
  }
  return v.options.filter((o) => o.value !== ALL);
}

const list = (v: unknown): string[] => (Array.isArray(v) ? v.map(String) : v === undefined || v === null ? [] : [String(v)]);

// In the order of the file, which is the order of dependence. `known` is kept where nothing changed.
export async function resolve(board: Dashboard, params: URLSearchParams, times: Times, signal: AbortSignal, known: Scope = {}, changed: string | null = null): Promise<Scope> {
  const scope: Scope = {};
  const dirty = new Set<string>(changed === null ? [] : [changed]);
  for (const v of board.variables) {
    const inAddress = params.getAll(`var-${v.name}`);
    if (v.type === 'adhoc') {
      const given = inAddress.length > 0 ? inAddress.filter((t) => t !== '') : v.filters.map(filterText);
      scope[v.name] = { values: given, texts: given, options: [] };
      if (known[v.name] && JSON.stringify(known[v.name].values) !== JSON.stringify(given)) dirty.add(v.name);
      continue;
    }
    if (v.type === 'textbox') {
      const value = inAddress[0] ?? list(v.current.value)[0] ?? v.query;
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
    const named = inAddress.map((t) => (t === 'All' && v.includeAll ? ALL : (options!.find((o) => o.value === t || o.text === t)?.value ?? t)));
    let values = named.length > 0 ? named : (known[v.name]?.values ?? list(v.current.value).map((c) => (c === 'All' && v.includeAll ? ALL : c)));
    if (named.length === 0) values = values.filter(allowed);
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

export function intervalOf(text: string, otherwise: number): number {
  return parseDuration(text.replace(/^>=?/, '')) || otherwise;
}
