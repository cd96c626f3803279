// Ad hoc filters: matchers that every selector of every query gets besides its own.
import { quote } from '../format/labels';
import type { Scope } from './interpolate';
import type { Dashboard } from './model';

export interface Filter {
  key: string;
  operator: string;
  value: string;
}

// In the address a filter is "key|operator|value"; "__gfp__" stands for a "|" of its own.
export const filterText = (f: Filter): string => [f.key, f.operator, f.value].map((t) => t.replace(/\|/g, '__gfp__')).join('|');

export function parseFilter(text: string): Filter | null {
  const [key, operator, value] = text.split('|').map((t) => t.replace(/__gfp__/g, '|'));
  return key && value !== undefined && ['=', '!=', '=~', '!~'].includes(operator) ? { key, operator, value } : null;
}

export function withFilters(expr: string, board: Dashboard, scope: Scope): string {
  const filters = board.variables.filter((v) => v.type === 'adhoc').flatMap((v) => scope[v.name]?.values ?? []).map(parseFilter).filter((f): f is Filter => f !== null);
  return filters.length === 0 ? expr : addMatchers(expr, filters);
}

const WORDS = new Set('by without on ignoring group_left group_right bool offset and or unless atan2 start end inf nan'.split(' '));
const LISTS = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right']);

// Token by token: a name that is no word, no function and in no label list is a metric, and braces that
// follow it or stand alone are its matchers.
export function addMatchers(expr: string, filters: Filter[]): string {
  const extra = filters.map((f) => `${/^[a-zA-Z_]\w*$/.test(f.key) ? f.key : quote(f.key)}${f.operator}${quote(f.value)}`).join(',');
  const token = /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|#[^\n]*|\[[^\]]*\]|\d[\w.]*|[a-zA-Z_:][\w:]*|\{|\}|[^]/g;
  let out = '';
  let listed = false; // Inside the parentheses after "by".
  let word = '';
  let metric = false; // A metric's name was just written.
  const parts = [...expr.matchAll(token)].map((m) => m[0]);
  for (let i = 0; i < parts.length; i++) {
    const t = parts[i];
    const next = parts.slice(i + 1).find((p) => !/^\s$/.test(p) && !p.startsWith('#'));
    if (t === '{') {
      const body: string[] = [];
      while (++i < parts.length && parts[i] !== '}') body.push(parts[i]);
      const text = body.join('').trim().replace(/,$/, '');
      out += `{${text}${text === '' ? '' : ','}${extra}}`;
      metric = false;
      continue;
    }
    if (/^[a-zA-Z_:]/.test(t) && !listed) {
      const low = t.toLowerCase();
      word = LISTS.has(low) ? low : '';
      if (word === '' && !WORDS.has(low) && next !== '(') {
        const aggregation = (next === 'by' || next === 'without') && /^[a-z_]+$/.test(t);
        if (!aggregation) metric = true;
      }
      out += t;
      if (metric && next !== '{') {
        out += `{${extra}}`;
        metric = false;
      }
      continue;
    }
    if (t === '(' && word !== '') listed = true;
    if (t === ')' && listed) {
      listed = false;
      word = '';
    }
    if (!/\s/.test(t) && t !== '(' && !listed) word = '';
    out += t;
  }
  return out;
}
