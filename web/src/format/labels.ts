import type { Metric } from '../api/client';

const escape = (value: string): string => value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');

const PLAIN = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

export function pairs(metric: Metric): [string, string][] {
  return Object.entries(metric)
    .filter(([name]) => name !== '__name__')
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

// up{job="node"}: text that is also a selector.
export function seriesName(metric: Metric): string {
  const name = metric.__name__ ?? '';
  const list = pairs(metric).map(([k, v]) => `${PLAIN.test(k) ? k : `"${escape(k)}"`}="${escape(v)}"`);
  const bare = PLAIN.test(name) || name === '';
  if (!bare) list.unshift(`"${escape(name)}"`);
  return (bare ? name : '') + (list.length > 0 || name === '' ? `{${list.join(', ')}}` : '');
}

// The same label set has the same key wherever it comes from.
export function seriesKey(metric: Metric): string {
  return JSON.stringify(Object.entries(metric).sort(([a], [b]) => (a < b ? -1 : 1)));
}

export const quote = (value: string): string => `"${escape(value)}"`;
