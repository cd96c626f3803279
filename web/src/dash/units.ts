// Grafana's units: a number becomes digits and a suffix. The ids and the rules of rounding are
// Grafana's, so that a dashboard reads the same here.

export interface Formatted {
  prefix?: string;
  text: string;
  suffix?: string;
}
type Decimals = number | null | undefined;
type Formatter = (value: number, decimals?: Decimals) => Formatted;

// Three significant digits, none for whole numbers.
export function decimalsFor(value: number): number {
  if (value % 1 === 0) return 0;
  const magnitude = Math.floor(Math.log(Math.abs(value)) / Math.LN10);
  let decimals = 1 - magnitude;
  if (Math.abs(value) * 10 ** decimals > 2.25) decimals++;
  return Math.max(0, decimals);
}

export function toFixed(value: number, decimals?: Decimals): string {
  if (value === Infinity || value === -Infinity || Number.isNaN(value)) return value.toLocaleString('en-US');
  const digits = decimals ?? decimalsFor(value);
  const factor = digits ? 10 ** Math.max(0, digits) : 1;
  const rounded = Math.round(value * factor) / factor;
  const text = String(rounded === 0 ? 0 : rounded);
  if (text.includes('e') || rounded === 0 && decimals == null) return text;
  const point = text.indexOf('.');
  const have = point < 0 ? 0 : text.length - point - 1;
  return have < digits ? (have === 0 ? text + '.' : text) + '0'.repeat(digits - have) : text;
}

const plain: Formatter = (v, d) => ({ text: toFixed(v, d) });
const suffix = (name: string): Formatter => (v, d) => ({ text: toFixed(v, d), suffix: name === '' ? undefined : ' ' + name });

function scaled(factor: number, names: string[], offset = 0): Formatter {
  return (v, d) => {
    if (!Number.isFinite(v)) return { text: toFixed(v), suffix: names[offset] };
    const power = v === 0 ? 0 : Math.floor(Math.log(Math.abs(v)) / Math.log(factor) + 1e-12);
    const index = Math.min(names.length - 1, Math.max(0, offset + power));
    return { text: toFixed(v / factor ** (index - offset), d), suffix: names[index] };
  };
}

const SI = ['f', 'p', 'n', 'µ', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'];
const BINARY = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei', 'Zi', 'Yi'];
const si = (unit: string, offset = 0): Formatter => scaled(1000, SI.map((p) => ` ${p}${unit}`), 5 + offset);
const binary = (unit: string, offset = 0): Formatter => scaled(1024, BINARY.map((p) => ` ${p}${unit}`), offset);
const count = (unit: string): Formatter => scaled(1000, ['', 'K', 'M', 'B', 'T'].map((p) => `${p} ${unit}`));

// Time steps up from one unit to the next: [smaller than, divisor, name].
function steps(table: [number, number, string][]): Formatter {
  return (v, d) => {
    if (v === 0) return { text: '0', suffix: table.find(([, by]) => by === 1)?.[2] };
    const size = Math.abs(v);
    const [, by, name] = table.find(([below]) => size < below) ?? table[table.length - 1];
    const text = toFixed(v / by, d);
    return { text, suffix: Number(text) === 1 && name.endsWith('s') && name.length > 3 ? name.slice(0, -1) : name };
  };
}

const seconds = steps([
  [1e-6, 1e-9, ' ns'],
  [1e-3, 1e-6, ' µs'],
  [1, 1e-3, ' ms'],
  [60, 1, ' s'],
  [3600, 60, ' mins'],
  [86_400, 3600, ' hours'],
  [604_800, 86_400, ' days'],
  [31_536_000, 604_800, ' weeks'],
  [Infinity, 31_556_900, ' years'],
]);
const ladder = (table: [number, number, string][]): Formatter => steps(table);

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

// "1 day, 3 hours": the first span that fits and, with decimals, as many below it.
function spoken(ms: number, decimals: Decimals): Formatted {
  if (ms < 0) return { ...spoken(-ms, decimals), suffix: ' ago' };
  let rest = ms;
  let left: number | null = decimals ?? 0;
  let begun = false;
  const out: string[] = [];
  for (const [name, size] of SPANS) {
    const n = Math.floor(rest / size);
    if (n > 0 || begun) {
      if (left < 0) break;
      begun = true;
      out.push(`${n} ${name}${n === 1 ? '' : 's'}`);
      rest %= size;
      left--;
      if (left < 0) break;
    }
  }
  return { text: out.join(', ') };
}

const two = (n: number): string => String(n).padStart(2, '0');
function clock(total: number): Formatted {
  if (total < 0) return { ...clock(-total), suffix: ' ago' };
  const s = Math.floor(total);
  const days = Math.floor(s / 86_400);
  const text = `${two(Math.floor((s % 86_400) / 3600))}:${two(Math.floor((s % 3600) / 60))}:${two(s % 60)}`;
  return { text: days > 0 ? `${days} d ${text}` : text };
}

function lapse(ms: number): Formatted {
  const t = ms < 0 ? ((Math.ceil(ms) % 1000) + 1000) % 1000 : Math.floor(ms);
  const milli = `${String(t % 1000).padStart(3, '0')}ms`;
  const s = Math.floor(t / 1000);
  if (t < 1000) return { text: milli };
  if (s < 60) return { text: `${two(s)}s:${milli}` };
  if (s < 3600) return { text: `${two(Math.floor(s / 60))}m:${two(s % 60)}s:${milli}` };
  return { text: `${Math.floor(s / 3600)}h:${two(Math.floor((s % 3600) / 60))}m:${two(s % 60)}s:${milli}` };
}

const date = (iso: boolean, withTime: 'always' | 'never' | 'today'): Formatter => (v) => {
  const d = new Date(v);
  if (Number.isNaN(d.getTime())) return { text: 'Invalid date' };
  const day = iso ? `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}` : `${two(d.getMonth() + 1)}/${two(d.getDate())}/${d.getFullYear()}`;
  const hour = iso ? two(d.getHours()) : String(d.getHours() % 12 || 12);
  const time = `${hour}:${two(d.getMinutes())}:${two(d.getSeconds())}${iso ? '' : d.getHours() < 12 ? ' am' : ' pm'}`;
  if (withTime === 'today' && new Date().toDateString() === d.toDateString()) return { text: time };
  return { text: `${day} ${time}` };
};

function fromNow(v: number): Formatted {
  const d = (v - Date.now()) / 1000;
  const size = Math.abs(d);
  const name: [number, number, string][] = [[45, 1, 'few seconds'], [90, 60, 'a minute'], [2700, 60, 'minutes'], [5400, 3600, 'an hour'], [79_200, 3600, 'hours'], [129_600, 86_400, 'a day'], [2_160_000, 86_400, 'days'], [3_888_000, 2_592_000, 'a month'], [27_648_000, 2_592_000, 'months'], [47_304_000, 31_536_000, 'a year'], [Infinity, 31_536_000, 'years']];
  const [, by, text] = name.find(([below]) => size < below)!;
  const words = text === 'few seconds' ? 'a few seconds' : text.startsWith('a') ? text : `${Math.round(size / by)} ${text}`;
  return { text: d > 0 ? `in ${words}` : `${words} ago` };
}

const yes = (a: string, b: string): Formatter => (v) => ({ text: v !== 0 ? a : b });
const money = (symbol: string, after = false): Formatter => {
  const scale = scaled(1000, ['', 'K', 'M', 'B', 'T']);
  return (v, d) => {
    const f = scale(v, d);
    return after ? { ...f, suffix: `${f.suffix}${symbol}` } : { ...f, prefix: symbol };
  };
};

const UNITS: Record<string, Formatter> = {
  none: plain,
  string: (v) => ({ text: String(v) }),
  short: scaled(1000, ['', ' K', ' Mil', ' Bil', ' Tri', ' Quadr', ' Quint', ' Sext', ' Sept']),
  sishort: si(''),
  percent: (v, d) => ({ text: toFixed(v, d), suffix: '%' }),
  percentunit: (v, d) => ({ text: toFixed(100 * v, d), suffix: '%' }),
  humidity: suffix('%H'),
  dB: suffix('dB'),
  hex: (v) => ({ text: (Number.isInteger(v) ? v : Math.round(v)).toString(16).toUpperCase() }),
  hex0x: (v) => ({ text: '0x' + Math.round(v).toString(16).toUpperCase() }),
  sci: (v, d) => ({ text: v.toExponential(d ?? undefined) }),
  locale: (v, d) => ({ text: v.toLocaleString('en-US', { maximumFractionDigits: d ?? 3, minimumFractionDigits: d ?? 0 }) }),
  bytes: binary('B'), kbytes: binary('B', 1), mbytes: binary('B', 2), gbytes: binary('B', 3), tbytes: binary('B', 4), pbytes: binary('B', 5),
  decbytes: si('B'), deckbytes: si('B', 1), decmbytes: si('B', 2), decgbytes: si('B', 3), dectbytes: si('B', 4), decpbytes: si('B', 5),
  bits: binary('b'), decbits: si('b'),
  Bps: si('B/s'), KBs: si('B/s', 1), MBs: si('B/s', 2), GBs: si('B/s', 3), TBs: si('B/s', 4), PBs: si('B/s', 5),
  bps: si('b/s'), Kbits: si('b/s', 1), Mbits: si('b/s', 2), Gbits: si('b/s', 3), Tbits: si('b/s', 4), Pbits: si('b/s', 5),
  binBps: binary('B/s'), KiBs: binary('B/s', 1), MiBs: binary('B/s', 2), GiBs: binary('B/s', 3), TiBs: binary('B/s', 4),
  binbps: binary('b/s'), Kibits: binary('b/s', 1), Mibits: binary('b/s', 2), Gibits: binary('b/s', 3),
  pps: si('p/s'),
  hertz: si('Hz'), rothz: si('Hz'), rotrpm: suffix('rpm'), rotrads: suffix('rad/s'), rotdegs: suffix('°/s'),
  s: seconds,
  ms: ladder([[1000, 1, ' ms'], [60_000, 1000, ' s'], [3_600_000, 60_000, ' mins'], [86_400_000, 3_600_000, ' hours'], [31_536_000_000, 86_400_000, ' days'], [Infinity, 31_536_000_000, ' years']]),
  'µs': ladder([[1000, 1, ' µs'], [1e6, 1000, ' ms'], [Infinity, 1e6, ' s']]),
  ns: ladder([[1000, 1, ' ns'], [1e6, 1000, ' µs'], [1e9, 1e6, ' ms'], [6e10, 1e9, ' s'], [Infinity, 6e10, ' mins']]),
  m: ladder([[60, 1, ' min'], [1440, 60, ' hours'], [10_080, 1440, ' days'], [604_800, 10_080, ' weeks'], [Infinity, 525_948, ' years']]),
  h: ladder([[24, 1, ' hour'], [168, 24, ' days'], [8760, 168, ' weeks'], [Infinity, 8760, ' years']]),
  d: ladder([[7, 1, ' day'], [365, 7, ' weeks'], [Infinity, 365, ' years']]),
  dtdurationms: (v, d) => (v === 0 ? { text: '0', suffix: ' milliseconds' } : spoken(v, d)),
  dtdurations: (v, d) => (v === 0 ? { text: '0', suffix: ' seconds' } : spoken(v * 1000, d)),
  dthms: (v) => clock(v),
  dtdhms: (v) => clock(v),
  timeticks: (v, d) => seconds(v / 100, d),
  clockms: (v) => lapse(v),
  clocks: (v) => lapse(v * 1000),
  dateTimeAsIso: date(true, 'always'), dateTimeAsIsoNoDateIfToday: date(true, 'today'),
  dateTimeAsUS: date(false, 'always'), dateTimeAsUSNoDateIfToday: date(false, 'today'),
  dateTimeAsLocal: date(true, 'always'), dateTimeAsSystem: date(true, 'always'),
  dateTimeFromNow: fromNow,
  bool: yes('True', 'False'), bool_yes_no: yes('Yes', 'No'), bool_on_off: yes('On', 'Off'),
  ops: count('ops/s'), opm: count('ops/m'), reqps: count('req/s'), reqpm: count('req/m'), cps: count('c/s'), cpm: count('c/m'),
  rps: count('rd/s'), rpm: count('rd/m'), wps: count('wr/s'), wpm: count('wr/m'), iops: count('io/s'), eps: count('evt/s'), epm: count('evt/m'),
  mps: count('msg/s'), mpm: count('msg/m'), recps: count('rec/s'), rowsps: count('rows/s'),
  celsius: suffix('°C'), fahrenheit: suffix('°F'), kelvin: suffix('K'),
  watt: si('W'), kwatt: si('W', 1), megwatt: si('W', 2), mwatt: si('W', -1), watth: si('Wh'), kwatth: si('Wh', 1), joule: si('J'), amp: si('A'), mamp: si('A', -1), volt: si('V'), kvolt: si('V', 1), mvolt: si('V', -1), voltamp: si('VA'), ohm: si('Ω'), dBm: suffix('dBm'), lumens: si('Lm'),
  lengthmm: si('m', -1), lengthm: si('m'), lengthkm: si('m', 1), massg: si('g'), masskg: si('g', 1), velocityms: suffix('m/s'), velocitykmh: suffix('km/h'),
  pressurepa: si('Pa'), pressurehpa: suffix('hPa'), pressurembar: si('bar', -1), pressurebar: si('bar'), degree: suffix('°'),
  currencyUSD: money('$'), currencyEUR: money('€'), currencyGBP: money('£'), currencyJPY: money('¥'), currencyCHF: money('CHF', true),
  ppm: suffix('ppm'), conppm: suffix('ppm'),
};
Object.assign(UNITS, { us: UNITS['µs'], dtdurationsms: UNITS.dtdurationms, time: UNITS.dateTimeAsIso });

// "prefix:$", "suffix:rows", "time:YYYY" and words that are no unit at all are Grafana's custom units.
export function formatter(unit: string | undefined): Formatter {
  if (!unit) return plain;
  const known = UNITS[unit];
  if (known) return known;
  const at = unit.indexOf(':');
  if (at > 0) {
    const kind = unit.slice(0, at);
    const rest = unit.slice(at + 1);
    if (kind === 'prefix') return (v, d) => ({ text: toFixed(v, d), prefix: rest });
    if (kind === 'suffix') return (v, d) => ({ text: toFixed(v, d), suffix: rest });
    if (kind === 'time') return UNITS.dateTimeAsIso;
    if (kind === 'si') {
      const sub = SI.indexOf(rest[0]);
      return rest.length > 1 && sub >= 0 ? si(rest.slice(1), sub - 5) : si(rest);
    }
    if (kind === 'count') return count(rest);
    if (kind === 'bool') {
      const [a, b] = rest.split('/');
      return yes(a ?? 'True', b ?? 'False');
    }
    if (kind === 'currency') return money(rest);
  }
  return suffix(unit);
}

export function show(value: number, unit: string | undefined, decimals?: Decimals): string {
  const f = formatter(unit)(value, decimals);
  return (f.prefix ?? '') + f.text + (f.suffix ?? '');
}
