import { href } from '../app/router';
import { quote } from '../format/labels';

// {a="b", c="d"}: Alertmanager's way to write matchers.
export function filterOf(labels: Record<string, string>): string {
  return `{${Object.entries(labels)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([k, v]) => `${k}=${quote(v)}`)
    .join(', ')}}`;
}

export function silenceLink(labels: Record<string, string>): string {
  return href(`/silences/new?filter=${encodeURIComponent(filterOf(labels))}`);
}

export interface Matcher {
  name: string;
  value: string;
  isRegex: boolean;
  isEqual: boolean;
}

const ONE = /\s*([a-zA-Z_:][a-zA-Z0-9_:.-]*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|[^,}\s]*)\s*(,|$)/y;

// Null: not a list of matchers.
export function parseFilter(text: string): Matcher[] | null {
  const body = text.trim().replace(/^\{/, '').replace(/\}$/, '').trim();
  const out: Matcher[] = [];
  ONE.lastIndex = 0;
  let at = 0;
  while (at < body.length) {
    ONE.lastIndex = at;
    const match = ONE.exec(body);
    if (!match) return null;
    const raw = match[3];
    const value = raw.startsWith('"') ? raw.slice(1, -1).replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c)) : raw;
    out.push({ name: match[1], value, isRegex: match[2].endsWith('~'), isEqual: !match[2].startsWith('!') });
    at = ONE.lastIndex;
  }
  return out;
}

export function matcherText(m: Matcher): string {
  return `${m.name}${m.isEqual ? (m.isRegex ? '=~' : '=') : m.isRegex ? '!~' : '!='}${quote(m.value)}`;
}
