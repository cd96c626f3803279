// How "$name", "${name:format}" and "[[name]]" become text: Grafana's rules for a Prometheus source.
import { duration } from '../format/time';
import type { Dashboard, Variable } from './model';
import { dateText } from './unit_time';

export interface Chosen {
  values: string[]; // ["$__all"] stands for all.
  texts: string[];
  options: { text: string; value: string }[];
  error?: string;
}
export type Scope = Record<string, Chosen>;

export const ALL = '$__all';
export const SOURCE = 'vedette';

export interface Times {
  from: number;
  to: number;
  step: number;
  interval: number; // Scrape interval.
  rate?: number; // What "$__rate_interval" is, where a query has a least step of its own.
}

// Inside a PromQL string the backslash of a regular expression is written twice.
const forQuery = (s: string): string => s.replace(/\\/g, '\\\\\\\\').replace(/[$^*{}[\]'+?.()|]/g, '\\\\$&');
const plainEscape = (s: string): string => s.replace(/\\/g, '\\\\').replace(/'/g, "\\\\'");
const forRegex = (s: string): string => s.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
const html = (s: string): string => s.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const percent = (c: string): string => '%' + c.charCodeAt(0).toString(16).toUpperCase();
const strict = (s: string): string => encodeURIComponent(s).replace(/[!'()*]/g, percent);

// `many`: the variable may have several values, also where it has one now.
export function formatValues(name: string, values: string[], texts: string[], how: string, many = values.length > 1): string {
  const first = values[0] ?? '';
  const [kind, ...args] = how.split(':');
  switch (kind) {
    case 'pipe': return values.join('|');
    case 'csv':
    case 'raw': return values.join(',');
    case 'join': return values.join(args[0] ?? ',');
    case 'regex': return values.length === 1 ? forRegex(first) : `(${values.map(forRegex).join('|')})`;
    case 'lucene': return !many ? lucene(first) : values.length === 0 ? '__empty__' : `(${values.map((v) => `"${lucene(v)}"`).join(' OR ')})`;
    case 'glob': return values.length > 1 ? `{${values.join(',')}}` : first;
    case 'distributed': return values.map((v, i) => (i === 0 ? v : `${name}=${v}`)).join(',');
    case 'json': return many ? JSON.stringify(values) : first;
    case 'doublequote': return values.map((v) => `"${v.replace(/"/g, '\\"')}"`).join(',');
    case 'singlequote': return values.map((v) => `'${v.replace(/'/g, "\\'")}'`).join(',');
    case 'sqlstring': return values.map((v) => `'${v.replace(/'/g, "''").replace(/"/g, '\\"')}'`).join(',');
    case 'html': return html(values.join(', '));
    case 'percentencode': return strict(many ? `{${values.join(',')}}` : first);
    case 'uriencode': return encodeURI(many ? `{${values.join(',')}}` : first).replace(/[!'()*]/g, percent);
    case 'queryparam': return values.map((v) => `var-${encodeURIComponent(name)}=${strict(v)}`).join('&');
    case 'customqueryparam': return values.map((v) => `${strict(args[0] || name)}=${strict(args[1] ?? '')}${strict(v)}`).join('&');
    case 'text': return texts.join(' + ');
    case 'date': return dateOf(Number(first === '' ? NaN : first), args.join(':'));
  }
  return values.length > 1 ? `{${values.join(',')}}` : first;
}

const lucene = (s: string): string => (s.trim() !== '' && !Number.isNaN(Number(s)) ? s : luceneText(s));
const luceneText = (s: string): string => s.replace(/[!*+\-=<>\s&|()[\]{}^~?:\\/"]/g, '\\$&');

function dateOf(ms: number, form: string): string {
  if (Number.isNaN(ms)) return 'NaN';
  if (form === 'ms') return String(ms);
  if (form === '' || form === 'iso') return new Date(ms).toISOString();
  if (form === 'seconds') return String(Math.round(ms / 1000));
  return dateText(form, ms);
}

function builtin(name: string, path: string, how: string, board: Dashboard | null, times: Times): string | undefined {
  const range = times.to - times.from;
  const rate = times.rate ?? Math.max(times.step + times.interval, 4 * times.interval);
  switch (name) {
    case '__interval': return duration(times.step);
    case '__interval_ms': return String(Math.round(times.step * 1000));
    case '__rate_interval': return duration(rate);
    case '__rate_interval_ms': return String(Math.round(rate * 1000));
    case '__range': return duration(Math.max(1, Math.round(range)));
    case '__range_s': return String(Math.round(range));
    case '__range_ms': return String(Math.round(range * 1000));
    case '__from': return how.startsWith('date') ? dateOf(times.from * 1000, how.slice(5)) : String(Math.round(times.from * 1000));
    case '__to': return how.startsWith('date') ? dateOf(times.to * 1000, how.slice(5)) : String(Math.round(times.to * 1000));
    case '__dashboard': return path === 'uid' ? (board?.uid ?? '') : (board?.title ?? '');
    case '__org': return path === 'name' ? 'Vedette' : '1';
    case '__user': return path === 'id' ? '0' : '';
    case '__timezone': return board?.timezone || 'browser';
    case '__searchFilter': return '.*';
    case '__url_time_range': return `from=${Math.round(times.from * 1000)}&to=${Math.round(times.to * 1000)}`;
  }
  return undefined;
}

const SYNTAX = /\$\{(\w+)((?:\.[^.:[\]}]+|\[[^\]]*\])*)(?::([^}]+))?\}|\[\[(\w+)(?::([^\]]+))?\]\]|\$(\w+)/g;

// `local` are names of this panel, row or field only; a longer name ("__field.labels.job") wins.
export function fill(text: string, board: Dashboard | null, scope: Scope, times: Times, purpose: 'query' | 'text' = 'query', local: Record<string, string> = {}): string {
  if (typeof text !== 'string' || !/[$[]/.test(text)) return text ?? '';
  return text.replace(SYNTAX, (whole, a, steps = '', how = '', b, how2 = '', c) => {
    const name: string = a ?? b ?? c;
    // ${__field.labels["a b"]} and ${__data.fields[0]} are paths like ${__field.labels.job}.
    const path: string = steps.replace(/\[\s*["']?(.*?)["']?\s*\]/g, '.$1').slice(1);
    const form: string = how || how2;
    const full = path === '' ? name : `${name}.${path}`;
    const mine = Object.hasOwn(local, full) ? local[full] : Object.hasOwn(local, name) && path === '' ? local[name] : undefined;
    const v: Variable | undefined = board?.variables.find((x) => x.name === name);
    if (mine !== undefined) {
      if (form !== '') return formatValues(name, [mine], [mine], form);
      return purpose === 'query' && v && (v.multi || v.includeAll) ? forQuery(mine) : mine;
    }
    if (name === '__all_variables') return Object.entries(scope).flatMap(([n, x]) => x.values.map((value) => `var-${encodeURIComponent(n)}=${strict(value === ALL ? 'All' : value)}`)).join('&');
    const known = builtin(name, path, form, board, times);
    if (known !== undefined) return known;
    const chosen = Object.hasOwn(scope, name) ? scope[name] : undefined;
    // A file made for import names its data source before it has one; there is only ours.
    if (!chosen) {
      const input = board?.inputs?.[name];
      // Before Grafana 4 the step had no underscores.
      return input ?? (/^DS_/i.test(name) ? SOURCE : name === 'interval' && path === '' ? duration(times.step) : whole);
    }
    if (v?.type === 'interval' && chosen.values[0]?.startsWith('$__auto')) return duration(autoInterval(v, times));
    const all = chosen.values[0] === ALL;
    const wantsText = form === 'text' || path === 'text' || (purpose === 'text' && form === '');
    if (wantsText) return all ? 'All' : chosen.texts.join(' + ');
    if (all && form === 'queryparam') return formatValues(name, [ALL], ['All'], form);
    if (all && v?.allValue) return /^(percent|uri)encode$/.test(form) ? formatValues(name, [v.allValue], ['All'], form) : v.allValue;
    const values = all ? chosen.options.map((o) => o.value).filter((o) => o !== ALL) : chosen.values;
    if (form !== '') return formatValues(name, values, chosen.texts, form, all || v?.multi === true);
    if (purpose === 'text') return values.join(',');
    if (v && !v.multi && !v.includeAll) return plainEscape(values[0] ?? '');
    return values.length === 1 ? forQuery(values[0]) : `(${values.map(forQuery).join('|')})`;
  });
}

// "auto" of an interval variable: the range in so many steps, not under its least.
function autoInterval(v: Variable, times: Times): number {
  const wanted = (times.to - times.from) / Math.max(1, v.autoCount);
  return Math.max(roundInterval(wanted), v.autoMin);
}

const STEPS = [0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 604_800, 2_592_000, 31_536_000];

// Seconds to the nearest step that people read: Grafana cuts halfway between neighbours.
export function roundInterval(seconds: number): number {
  const edges = [0.01, 0.015, 0.035, 0.075, 0.15, 0.35, 0.75, 1.5, 3.5, 7.5, 12.5, 17.5, 25, 45, 90, 210, 450, 750, 1050, 1500, 2700, 5400, 9000, 16_200, 32_400, 86_400, 604_800, 1_814_400, 3_628_800];
  const at = edges.findIndex((e) => seconds < e);
  return STEPS[at < 0 ? STEPS.length - 1 : at];
}
