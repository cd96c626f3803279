// Times and durations in Grafana's words. The date patterns are the common letters of moment.js, which
// is what people write into "time:..." units.
import type { Decimals, Formatted, Formatter } from './units';

const SPANS: [string, number][] = [
  ['year', 31_536_000_000],
  ['month', 2_592_000_000],
  ['week', 604_800_000],
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
  ['millisecond', 1],
];

const ago = (f: Formatted): Formatted => ({ ...f, suffix: (f.suffix ?? '') + ' ago' });
const LAST = 8.64e15; // The last moment that a Date can hold.
const two = (n: number): string => String(n).padStart(2, '0');

// "1 day, 3 hours": the first span that fits and, with decimals, as many below it.
export function spoken(ms: number, decimals: Decimals): Formatted {
  if (ms < 0) return ago(spoken(-ms, decimals));
  let rest = ms;
  let left = decimals ?? 0;
  const out: string[] = [];
  for (const [name, size] of SPANS) {
    if (left < 0) break;
    if (rest / size < 1 && out.length === 0) continue;
    const n = Math.floor(rest / size);
    out.push(`${n} ${name}${n === 1 ? '' : 's'}`);
    rest %= size;
    left--;
  }
  return { text: out.join(', ') };
}

// 90061 to "25:01:01".
export function hms(total: number): Formatted {
  if (total < 0) return ago(hms(-total));
  const part = (n: number): string => (n > 9 ? String(n) : '0' + n);
  return { text: [Math.floor(total / 3600), Math.floor((total % 3600) / 60), Math.floor(total % 60)].map(part).join(':') };
}

// 90061 to "1 d 01:01:01".
export function days(total: number): Formatted {
  if (total < 0) return ago(days(-total));
  const n = Math.floor(total / 86_400);
  return { text: (n > 0 ? `${n} d ` : '') + hms(total - n * 86_400).text };
}

// 3661001 ms to "1h:01m:01s:001ms"; decimals say how many parts follow the first.
export function clock(ms: number, decimals: Decimals): Formatted {
  const bad = !(Math.abs(ms) <= LAST);
  const whole = Math.trunc(ms);
  const t = ((whole % 3_600_000) + 3_600_000) % 3_600_000;
  if (bad && ms < 1000) return { text: 'Invalid date' };
  const parts = [`${two(Math.floor(t / 60_000))}m`, `${two(Math.floor(t / 1000) % 60)}s`, `${String(t % 1000).padStart(3, '0')}ms`];
  const keep = (list: string[]): string => list.slice(0, decimals === null || decimals === undefined ? list.length : decimals + 1).join(':');
  if (ms < 1000) return { text: parts[2] };
  if (ms < 60_000) return { text: decimals === 0 ? parts[1] : parts.slice(1).join(':') };
  if (ms < 3_600_000) return { text: keep(parts) };
  const hours = `${Math.floor(ms / 3_600_000)}h`;
  return { text: keep(bad ? [hours, 'Invalid date'] : [hours, ...parts]) };
}

const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const ordinal = (n: number): string => n + (n % 100 > 10 && n % 100 < 14 ? 'th' : (['th', 'st', 'nd', 'rd'][n % 10] ?? 'th'));

function dated(form: string, ms: number, utc: boolean): string {
  const d = new Date(ms);
  if (Number.isNaN(d.getTime())) return 'Invalid date';
  const [year, month, day, weekday, hour, minute, second, milli] = utc
    ? [d.getUTCFullYear(), d.getUTCMonth(), d.getUTCDate(), d.getUTCDay(), d.getUTCHours(), d.getUTCMinutes(), d.getUTCSeconds(), d.getUTCMilliseconds()]
    : [d.getFullYear(), d.getMonth(), d.getDate(), d.getDay(), d.getHours(), d.getMinutes(), d.getSeconds(), d.getMilliseconds()];
  const offset = utc ? 0 : -d.getTimezoneOffset();
  const zone = (colon: string): string => `${offset < 0 ? '-' : '+'}${two(Math.floor(Math.abs(offset) / 60))}${colon}${two(Math.abs(offset) % 60)}`;
  const made: Record<string, string> = {
    YYYY: String(year), YY: two(year % 100), MMMM: MONTHS[month], MMM: MONTHS[month].slice(0, 3), MM: two(month + 1), M: String(month + 1),
    DD: two(day), Do: ordinal(day), D: String(day), dddd: DAYS[weekday], ddd: DAYS[weekday].slice(0, 3), dd: DAYS[weekday].slice(0, 2), d: String(weekday),
    HH: two(hour), H: String(hour), hh: two(hour % 12 || 12), h: String(hour % 12 || 12), mm: two(minute), m: String(minute), ss: two(second), s: String(second),
    SSS: String(milli).padStart(3, '0'), A: hour < 12 ? 'AM' : 'PM', a: hour < 12 ? 'am' : 'pm', ZZ: zone(''), Z: zone(':'), X: String(Math.floor(ms / 1000)), x: String(ms),
    L: `${two(month + 1)}/${two(day)}/${year}`, LT: `${hour % 12 || 12}:${two(minute)} ${hour < 12 ? 'AM' : 'PM'}`,
  };
  return form.replace(/\[([^\]]*)\]|YYYY|YY|MMMM|MMM|MM|M|DD|Do|D|dddd|ddd|dd|d|HH|H|hh|h|mm|m|ss|s|SSS|A|a|ZZ|Z|X|x|LT|L/g, (token, literal) => literal ?? made[token]);
}

// `today` is the pattern for moments of this day, where the date says nothing.
export function pattern(form: string, today?: string, utc = false): Formatter {
  return (v) => {
    const same = today !== undefined && dated('YYYY-MM-DD', v, utc) === dated('YYYY-MM-DD', Date.now(), utc);
    return { text: dated(same ? today : form, v, utc) };
  };
}

export function fromNow(ms: number): Formatted {
  const d = (ms - Date.now()) / 1000;
  if (!(Math.abs(ms) <= LAST)) return { text: 'Invalid date' };
  const s = Math.round(Math.abs(d));
  const m = Math.round(s / 60);
  const h = Math.round(m / 60);
  const n = Math.round(h / 24);
  // A month is a twelfth of 400 years' 146,097 days.
  const months = Math.round((Math.abs(d) / 86_400) * (4800 / 146_097));
  const years = Math.round(Math.floor((Math.abs(d) / 86_400) * (4800 / 146_097)) / 12);
  const words =
    s < 45 ? 'a few seconds' : m <= 1 ? 'a minute' : m < 45 ? `${m} minutes` : h <= 1 ? 'an hour' : h < 22 ? `${h} hours` : n <= 1 ? 'a day' : n < 26 ? `${n} days` : months <= 1 ? 'a month' : months < 11 ? `${months} months` : years <= 1 ? 'a year' : `${years} years`;
  return { text: d > 0 ? `in ${words}` : `${words} ago` };
}

export const dateText = (form: string, ms: number, utc = false): string => dated(form, ms, utc);
