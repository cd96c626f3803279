// Durations and times as operators write them.

const UNITS: [string, number][] = [
  ['y', 31_536_000],
  ['w', 604_800],
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
];

// "1h30m" to seconds; a bare number is seconds; null if it is neither.
export function parseDuration(text: string): number | null {
  const trimmed = text.trim();
  if (/^\d+(\.\d+)?$/.test(trimmed)) return Number(trimmed);
  const match = /^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/.exec(trimmed);
  if (!match || trimmed === '') return null;
  const weights = [31_536_000, 604_800, 86_400, 3600, 60, 1, 0.001];
  return weights.reduce((sum, weight, i) => sum + Number(match[i + 1] ?? 0) * weight, 0);
}

// 5400 to "1h30m".
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return String(seconds);
  if (seconds < 0) return '-' + duration(-seconds);
  if (seconds < 1) return seconds === 0 ? '0s' : `${Math.round(seconds * 1000)}ms`;
  let rest = Math.round(seconds);
  let text = '';
  for (const [name, size] of UNITS) {
    // Weeks and years only where they come out even: "90d" reads better than "12w6d".
    if ((name === 'y' || name === 'w') && rest % size !== 0) continue;
    const count = Math.floor(rest / size);
    if (count > 0) text += count + name;
    rest -= count * size;
  }
  return text;
}

// For people: at most two units.
export function about(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–';
  const size = Math.abs(seconds);
  if (size < 1e-3) return `${(seconds * 1e6).toFixed(0)} µs`;
  if (size < 1) return `${(seconds * 1e3).toFixed(size < 0.01 ? 2 : size < 0.1 ? 1 : 0)} ms`;
  if (size < 60) return `${seconds.toFixed(size < 10 ? 1 : 0)} s`;
  if (size < 3600) return `${Math.floor(size / 60)}m ${Math.floor(size % 60)}s`;
  if (size < 86_400) return `${Math.floor(size / 3600)}h ${Math.floor((size % 3600) / 60)}m`;
  return `${Math.floor(size / 86_400)}d ${Math.floor((size % 86_400) / 3600)}h`;
}

export function ago(seconds: number, now: number): string {
  if (seconds <= 0) return 'never';
  const d = now - seconds;
  if (d < -0.5) return `in ${about(-d)}`;
  return d < 1 ? 'now' : `${about(d)} ago`;
}

const two = (n: number): string => String(n).padStart(2, '0');

// "2026-11-21 04:05:06", in UTC or in the browser's zone.
export function stamp(seconds: number, utc: boolean): string {
  const d = new Date(seconds * 1000);
  if (Number.isNaN(d.getTime())) return '–';
  return utc
    ? `${d.getUTCFullYear()}-${two(d.getUTCMonth() + 1)}-${two(d.getUTCDate())} ${two(d.getUTCHours())}:${two(d.getUTCMinutes())}:${two(d.getUTCSeconds())}`
    : `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

// "2026-11-21 04:05:06" (UTC unless it says otherwise), RFC 3339 or seconds; null if it is none.
export function parseTime(text: string, utc = true): number | null {
  const trimmed = text.trim();
  if (/^\d+(\.\d+)?$/.test(trimmed)) return Number(trimmed);
  const match = /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d)(:\d\d(?:\.\d+)?)?)?(Z|[+-]\d\d:?\d\d)?$/.exec(trimmed);
  if (!match) return null;
  const zone = match[4] ?? (utc ? 'Z' : '');
  const ms = Date.parse(`${match[1]}T${match[2] ?? '00:00'}${match[3] ?? ':00'}${zone}`);
  return Number.isNaN(ms) ? null : ms / 1000;
}

// Grafana's relative words: now-1h, now-1d/d, now/w; milliseconds since 1970; ISO times. Days begin where the reader
// is, or in UTC.
export function parseRelative(text: string, nowSeconds: number, roundUp: boolean, utc = false): number | null {
  if (/^\d{10,}$/.test(text)) return Number(text) / 1000;
  const match = /^now((?:[+-]\d+[smhdwMy])*)(?:\/([smhdwMy]))?$/.exec(text.trim());
  if (!match) return parseTime(text, utc);
  const d = new Date(nowSeconds * 1000);
  for (const [, sign, count, unit] of match[1].matchAll(/([+-])(\d+)([smhdwMy])/g)) {
    const n = (sign === '-' ? -1 : 1) * Number(count);
    if (unit === 'M') utc ? d.setUTCMonth(d.getUTCMonth() + n) : d.setMonth(d.getMonth() + n);
    else if (unit === 'y') utc ? d.setUTCFullYear(d.getUTCFullYear() + n) : d.setFullYear(d.getFullYear() + n);
    else d.setTime(d.getTime() + n * 1000 * { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }[unit as 's']!);
  }
  if (match[2]) {
    const unit = match[2];
    const keep = 'yMdhms'.indexOf(unit === 'w' ? 'd' : unit);
    const parts = utc ? [d.getUTCFullYear(), d.getUTCMonth(), d.getUTCDate(), d.getUTCHours(), d.getUTCMinutes(), d.getUTCSeconds()] : [d.getFullYear(), d.getMonth(), d.getDate(), d.getHours(), d.getMinutes(), d.getSeconds()];
    // Weeks begin on Mondays.
    if (unit === 'w') parts[2] -= ((utc ? d.getUTCDay() : d.getDay()) + 6) % 7;
    const floor = parts.map((p, i) => (i <= keep ? p : i === 2 ? 1 : 0)) as [number, number, number, number, number, number];
    if (roundUp) floor[keep] += unit === 'w' ? 7 : 1;
    d.setTime((utc ? Date.UTC(...floor) : new Date(...floor).getTime()) - (roundUp ? 1 : 0));
    if (!roundUp) d.setMilliseconds(0);
  }
  return d.getTime() / 1000;
}

// The steps that people read without counting.
const NICE = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];

export function niceStep(seconds: number): number {
  for (const step of NICE) if (step >= seconds) return step;
  return Math.ceil(seconds / 86_400) * 86_400;
}
