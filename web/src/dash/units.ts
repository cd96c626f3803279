// Grafana's units: a number becomes digits and a suffix. The ids and the rules of rounding are
// Grafana's, so that a dashboard reads the same here. Units that are spoken times are in unit_time.ts.
import { clock, days, fromNow, hms, pattern, spoken } from './unit_time';

export interface Formatted {
  prefix?: string;
  text: string;
  suffix?: string;
}
export type Decimals = number | null | undefined;
export type Formatter = (value: number, decimals?: Decimals) => Formatted;

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
  if (value === 0) return (0).toFixed(digits);
  const factor = digits ? 10 ** Math.max(0, digits) : 1;
  const text = String(Math.round(value * factor) / factor);
  if (text.includes('e')) return text;
  const point = text.indexOf('.');
  const have = point < 0 ? 0 : text.length - point - 1;
  return have < digits ? (have === 0 ? text + '.' : text) + '0'.repeat(digits - have) : text;
}

const plain: Formatter = (v, d) => ({ text: toFixed(v, d) });
const fixed = (name: string): Formatter => (v, d) => ({ text: toFixed(v, d), suffix: ' ' + name });

function scaled(factor: number, names: string[], offset = 0): Formatter {
  return (v, d) => {
    if (!Number.isFinite(v)) return { text: v.toLocaleString('en-US') };
    const power = v === 0 ? 0 : Math.floor(Math.log10(Math.abs(v)) / Math.log10(factor));
    const steps = Math.min(names.length - 1 - offset, Math.max(-offset, power));
    return { text: toFixed(v / factor ** steps, d), suffix: names[offset + steps] };
  };
}

const SI = ['f', 'p', 'n', 'µ', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'];
const BINARY = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei', 'Zi', 'Yi'];
const si = (unit: string, offset = 0): Formatter => scaled(1000, SI.map((p) => ` ${p}${unit}`), 5 + offset);
const binary = (unit: string, offset = 0): Formatter => scaled(1024, BINARY.map((p) => ` ${p}${unit}`), offset);
const count = (unit: string): Formatter => {
  const scale = scaled(1000, ['', 'K', 'M', 'B', 'T']);
  return (v, d) => {
    const f = scale(v, d);
    return { ...f, suffix: `${f.suffix ?? ''} ${unit}` };
  };
};

// Time steps up from one unit to the next: [smaller than, divisor, name]. The first is never plural.
function ladder(table: [number, number, string][]): Formatter {
  return (v, d) => {
    const size = Math.abs(v);
    const at = table.findIndex(([below]) => size < below);
    const [, by, name] = table[at < 0 ? table.length - 1 : at];
    const plural = by !== 1 && /^(min|hour|day|week|year)$/.test(name) && size / by > 1;
    return { text: toFixed(v / by, d), suffix: ` ${name}${plural ? 's' : ''}` };
  };
}
const secondsLadder = ladder([[1e-6, 1e-9, 'ns'], [1e-3, 1e-6, 'µs'], [1, 1e-3, 'ms'], [60, 1, 's'], [3600, 60, 'min'], [86_400, 3600, 'hour'], [604_800, 86_400, 'day'], [31_536_000, 604_800, 'week'], [Infinity, 31_556_900, 'year']]);
const seconds: Formatter = (v, d) => (v === 0 ? { text: '0', suffix: ' s' } : secondsLadder(v, d));
const daysLadder = ladder([[7, 1, 'day'], [365, 7, 'week'], [Infinity, 365, 'year']]);

const money = (symbol: string, after = false): Formatter => {
  const scale = scaled(1000, ['', 'K', 'M', 'B', 'T']);
  return (v, d) => {
    const f = scale(Math.abs(v), d);
    if (after) f.suffix = f.suffix === undefined ? undefined : f.suffix + symbol;
    else f.prefix = symbol;
    if (v < 0) f.prefix = '-' + (f.prefix ?? '');
    return f;
  };
};
const fullMoney = (symbol: string, after: boolean): Formatter => (v, d) => {
  const text = v.toLocaleString('en-US', { minimumFractionDigits: d ?? 0, maximumFractionDigits: d ?? 1 });
  return after ? { text, suffix: symbol } : { text, prefix: symbol };
};
const yes = (a: string, b: string): Formatter => (v) => ({ text: v !== 0 ? a : b });
const hex = (v: number, d: Decimals): string => parseFloat(toFixed(v, d)).toString(16).toUpperCase();

const UNITS: Record<string, Formatter> = {
  none: plain,
  string: (v) => ({ text: String(v) }),
  short: scaled(1000, ['', ' K', ' Mil', ' Bil', ' Tri', ' Quadr', ' Quint', ' Sext', ' Sept']),
  percent: (v, d) => ({ text: toFixed(v, d), suffix: '%' }),
  percentunit: (v, d) => ({ text: toFixed(100 * v, d), suffix: '%' }),
  hex: (v, d) => ({ text: hex(v, d) }),
  hex0x: (v, d) => ({ text: hex(v, d).replace(/^(-?)/, '$10x') }),
  sci: (v, d) => ({ text: v.toExponential(d ?? undefined) }),
  locale: (v, d) => ({ text: v.toLocaleString('en-US', { maximumFractionDigits: d ?? undefined }) }),
  hertz: si('Hz'),
  s: seconds,
  ms: ladder([[1000, 1, 'ms'], [60_000, 1000, 's'], [3_600_000, 60_000, 'min'], [86_400_000, 3_600_000, 'hour'], [31_536_000_000, 86_400_000, 'day'], [Infinity, 31_536_000_000, 'year']]),
  'µs': ladder([[1000, 1, 'µs'], [1e6, 1000, 'ms'], [Infinity, 1e6, 's']]),
  ns: ladder([[1000, 1, 'ns'], [1e6, 1000, 'µs'], [1e9, 1e6, 'ms'], [6e10, 1e9, 's'], [36e11, 6e10, 'min'], [864e11, 36e11, 'hour'], [Infinity, 864e11, 'day']]),
  m: ladder([[60, 1, 'min'], [1440, 60, 'hour'], [10_080, 1440, 'day'], [604_800, 10_080, 'week'], [Infinity, 525_948, 'year']]),
  h: ladder([[24, 1, 'hour'], [168, 24, 'day'], [8760, 168, 'week'], [Infinity, 8760, 'year']]),
  d: (v, d) => {
    const f = daysLadder(v, d);
    return f.suffix === ' day' && Math.abs(v) > 1 ? { ...f, suffix: ' days' } : f;
  },
  dtdurationms: (v, d) => (v === 0 ? { text: '0', suffix: ' milliseconds' } : spoken(v, d)),
  dtdurations: (v, d) => (v === 0 ? { text: '0', suffix: ' seconds' } : spoken(v * 1000, d)),
  dthms: (v) => hms(v),
  dtdhms: (v) => days(v),
  timeticks: (v, d) => seconds(v / 100, d),
  clockms: (v, d) => clock(v, d),
  clocks: (v, d) => clock(v * 1000, d),
  dateTimeFromNow: fromNow,
  pressurehg: fixed('"Hg'),
  pressurepsi: scaled(1000, ['psi', 'ksi', 'Mpsi']),
  bool: yes('True', 'False'), bool_yes_no: yes('Yes', 'No'), bool_on_off: yes('On', 'Off'),
};

// "id=what follows the number" of the many units that differ in nothing else.
const many = (text: string, make: (name: string) => Formatter): void => {
  for (const pair of text.trim().split(/\s*;\s*/)) {
    const at = pair.indexOf('=');
    UNITS[pair.slice(0, at)] = make(pair.slice(at + 1));
  }
};
many(
  `humidity=%H;dB=dB;pixel=px;accMS2=m/sec²;accFS2=f/sec²;accG=g;degree=°;radian=rad;grad=grad;arcmin=arcmin;arcsec=arcsec;
  areaM2=m²;areaF2=ft²;areaMI2=mi²;acres=ac;hectares=ha;ppm=ppm;conppm=ppm;conppb=ppb;conngm3=ng/m³;conngNm3=ng/Nm³;conμgm3=μg/m³;conμgNm3=μg/Nm³;
  conmgm3=mg/m³;conmgNm3=mg/Nm³;congm3=g/m³;congNm3=g/Nm³;conmgdL=mg/dL;conmmolL=mmol/L;dBm=dbm;
  flowgpm=gpm;flowcms=cms;flowcfs=cfs;flowcfm=cfm;litreh=L/h;flowlpm=L/min;flowmlpm=mL/min;lux=lux;masslb=lb;masst=t;
  lengthcm=cm;lengthin=in;lengthft=ft;lengthmi=mi;pressurehpa=hPa;pressurekpa=kPa;rotrpm=rpm;rotrads=rad/s;rotdegs=°/s;
  celsius=°C;fahrenheit=°F;kelvin=K;velocityms=m/s;velocitykmh=km/h;velocitymph=mph;velocityknot=kn;m3=m³;Nm3=Nm³;dm3=dm³;gallons=gal`,
  fixed,
);
many(
  `cps=c/s;ops=ops/s;reqps=req/s;rps=rd/s;wps=wr/s;iops=io/s;eps=evt/s;mps=msg/s;recps=rec/s;rowsps=rows/s;
  cpm=c/m;opm=ops/m;reqpm=req/m;rpm=rd/m;wpm=wr/m;epm=evts/m;mpm=msgs/m;recpm=rec/m;rowspm=rows/m`,
  count,
);
// "id=unit" or "id=unit,steps of 1000 (1024) above it".
const prefixed = (make: (unit: string, offset: number) => Formatter) => (text: string): Formatter => {
  const [unit, offset] = text.split(',');
  return make(unit, Number(offset ?? 0));
};
many(
  `sishort=;candela=cd;Wm2=W/m²;radr=R;flops=FLOPS;mflops=FLOPS,2;gflops=FLOPS,3;tflops=FLOPS,4;pflops=FLOPS,5;eflops=FLOPS,6;zflops=FLOPS,7;yflops=FLOPS,8;
  decbytes=B;deckbytes=B,1;decmbytes=B,2;decgbytes=B,3;dectbytes=B,4;decpbytes=B,5;decbits=b;pps=p/s;
  Bps=B/s;KBs=B/s,1;MBs=B/s,2;GBs=B/s,3;TBs=B/s,4;PBs=B/s,5;bps=b/s;Kbits=b/s,1;Mbits=b/s,2;Gbits=b/s,3;Tbits=b/s,4;Pbits=b/s,5;
  watt=W;kwatt=W,1;megwatt=W,2;gwatt=W,3;mwatt=W,-1;voltamp=VA;kvoltamp=VA,1;voltampreact=VAr;kvoltampreact=VAr,1;watth=Wh;watthperkg=Wh/kg;
  kwatth=Wh,1;kwattm=W-Min,1;mwatth=Wh,2;amph=Ah;kamph=Ah,1;mamph=Ah,-1;joule=J;ev=eV;amp=A;kamp=A,1;mamp=A,-1;volt=V;kvolt=V,1;mvolt=V,-1;
  mohm=Ω,-1;ohm=Ω;kohm=Ω,1;Mohm=Ω,2;farad=F;µfarad=F,-2;nfarad=F,-3;pfarad=F,-4;ffarad=F,-5;henry=H;mhenry=H,-1;µhenry=H,-2;lumens=Lm;
  forceNm=Nm;forcekNm=Nm,1;forceN=N;forcekN=N,1;Hs=H/s;KHs=H/s,1;MHs=H/s,2;GHs=H/s,3;THs=H/s,4;PHs=H/s,5;EHs=H/s,6;
  massmg=g,-1;massg=g;masskg=g,1;lengthmm=m,-1;lengthm=m;lengthkm=m,1;pressurembar=bar,-1;pressurebar=bar;pressurekbar=bar,1;pressurepa=Pa;
  radbq=Bq;radci=Ci;radgy=Gy;radrad=rad;radsv=Sv;radmsv=Sv,-1;radusv=Sv,-2;radrem=rem;radexpckg=C/kg;radsvh=Sv/h;radmsvh=Sv/h,-1;radusvh=Sv/h,-2;
  rothz=Hz;rotkhz=Hz,1;rotmhz=Hz,2;rotghz=Hz,3;mlitre=L,-1;litre=L`,
  prefixed(si),
);
many(
  `bytes=B;kbytes=B,1;mbytes=B,2;gbytes=B,3;tbytes=B,4;pbytes=B,5;bits=b;binBps=B/s;KiBs=B/s,1;MiBs=B/s,2;GiBs=B/s,3;TiBs=B/s,4;PiBs=B/s,5;
  binbps=b/s;Kibits=b/s,1;Mibits=b/s,2;Gibits=b/s,3;Tibits=b/s,4;Pibits=b/s,5`,
  prefixed(binary),
);
many('USD=$;GBP=£;EUR=€;JPY=¥;RUB=₽;UAH=₴;BRL=R$;CZK=czk;CHF=CHF;PLN=PLN;BTC=฿;mBTC=mBTC;μBTC=μBTC;ZAR=R;INR=₹;KRW=₩;IDR=Rp;PHP=PHP;MYR=RM;XPF=XPF;BGN=BGN;PYG=₲;UYU=UYU;ILS=₪'.replace(/(^|;)/g, '$1currency'), (s) => money(s));
many('DKK=kr;ISK=kr;NOK=kr;SEK=kr;VND=đ;TRY=₺'.replace(/(^|;)/g, '$1currency'), (s) => money(s, true));
Object.assign(UNITS, { us: UNITS['µs'], dtdurationsms: UNITS.dtdurationms, time: pattern('YYYY-MM-DD HH:mm:ss') });

const DATES: Record<string, [string, string?]> = {
  dateTimeAsIso: ['YYYY-MM-DD HH:mm:ss'],
  dateTimeAsIsoNoDateIfToday: ['YYYY-MM-DD HH:mm:ss', 'HH:mm:ss'],
  dateTimeAsUS: ['MM/DD/YYYY h:mm:ss a'],
  dateTimeAsUSNoDateIfToday: ['MM/DD/YYYY h:mm:ss a', 'h:mm:ss a'],
  dateTimeAsLocal: ['MM/DD/YYYY, hh:mm:ss A'],
  dateTimeAsLocalNoDateIfToday: ['MM/DD/YYYY, hh:mm:ss A', 'hh:mm:ss A'],
  dateTimeAsSystem: ['YYYY-MM-DD HH:mm:ss'],
};

// "prefix:$", "suffix:rows", "time:YYYY" and words that are no unit at all are Grafana's custom units.
export function formatter(unit: string | undefined, utc = false): Formatter {
  if (!unit) return plain;
  const date = Object.hasOwn(DATES, unit) ? DATES[unit] : undefined;
  if (date) return pattern(date[0], date[1], utc);
  const known = Object.hasOwn(UNITS, unit) ? UNITS[unit] : undefined;
  if (known) return known;
  const at = unit.indexOf(':');
  if (at > 0) {
    const kind = unit.slice(0, at);
    const rest = unit.slice(at + 1);
    if (kind === 'prefix') return (v, d) => ({ text: toFixed(v, d), prefix: rest });
    if (kind === 'suffix') return fixed(rest);
    if (kind === 'time') return pattern(rest, undefined, utc);
    if (kind === 'si') {
      const sub = SI.indexOf(rest[0]);
      return rest.length > 1 && sub >= 0 ? si(rest.slice(1), sub - 5) : si(rest);
    }
    if (kind === 'count') return count(rest);
    if (kind === 'bool') {
      const cut = rest.indexOf('/');
      return cut >= 0 ? yes(rest.slice(0, cut), rest.slice(cut + 1)) : yes(rest, '-');
    }
    if (kind === 'currency') {
      const [first, symbol, place] = rest.split(':');
      if (first === 'financial' && symbol !== undefined) return fullMoney(symbol, place === 'suffix');
      return money(rest);
    }
  }
  return fixed(unit);
}

export function show(value: number, unit: string | undefined, decimals?: Decimals): string {
  const f = formatter(unit)(value, decimals);
  return (f.prefix ?? '') + f.text + (f.suffix ?? '');
}
