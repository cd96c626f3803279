import type { Json, Override, Panel } from './model';
import { formatter } from './units';

// What a value looks like: text by unit and mappings, colour by thresholds or scheme.

const COLORS: Record<string, string> = {
  green: '#73BF69', 'dark-green': '#37872D', 'semi-dark-green': '#56A64B', 'light-green': '#96D98D', 'super-light-green': '#C8F2C2',
  yellow: '#FADE2A', 'dark-yellow': '#E0B400', 'semi-dark-yellow': '#F2CC0C', 'light-yellow': '#FFEE52', 'super-light-yellow': '#FFF899',
  red: '#F2495C', 'dark-red': '#C4162A', 'semi-dark-red': '#E02F44', 'light-red': '#FF7383', 'super-light-red': '#FFA6B0',
  blue: '#5794F2', 'dark-blue': '#1F60C4', 'semi-dark-blue': '#3274D9', 'light-blue': '#8AB8FF', 'super-light-blue': '#C0D8FF',
  orange: '#FF9830', 'dark-orange': '#FA6400', 'semi-dark-orange': '#FF780A', 'light-orange': '#FFB357', 'super-light-orange': '#FFCB7D',
  purple: '#B877D9', 'dark-purple': '#8F3BB8', 'semi-dark-purple': '#A352CC', 'light-purple': '#CA95E5', 'super-light-purple': '#DEB6F2',
  gray: '#808080', text: 'var(--ink)', panel: 'var(--card)', transparent: 'transparent',
};

export function colorOf(name: string | undefined, otherwise = '#808080'): string {
  if (!name) return otherwise;
  return COLORS[name] ?? (/^(#|rgb|hsl)/.test(name) ? name : /^[a-z]+$/i.test(name) ? name : otherwise);
}

const SCHEMES: Record<string, string[]> = {
  'continuous-GrYlRd': ['green', 'yellow', 'red'],
  'continuous-RdYlGr': ['red', 'yellow', 'green'],
  'continuous-BlYlRd': ['dark-blue', 'super-light-yellow', 'dark-red'],
  'continuous-YlRd': ['super-light-yellow', 'dark-red'],
  'continuous-BlPu': ['dark-blue', 'super-light-purple'],
  'continuous-YlBl': ['super-light-yellow', 'dark-blue'],
  'continuous-blues': ['panel', 'dark-blue'],
  'continuous-reds': ['panel', 'dark-red'],
  'continuous-greens': ['panel', 'dark-green'],
  'continuous-purples': ['panel', 'dark-purple'],
};

function spline(colors: string[], t: number): string {
  const rgb = colors.map((c) => {
    const hex = colorOf(c).startsWith('#') ? colorOf(c) : '#1b1d22';
    return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  });
  const n = rgb.length - 1;
  const i = t >= 1 ? n - 1 : Math.max(0, Math.floor(t * n));
  const channel = (k: number): number => {
    const v1 = rgb[i][k];
    const v2 = rgb[i + 1][k];
    const v0 = i > 0 ? rgb[i - 1][k] : 2 * v1 - v2;
    const v3 = i < n - 1 ? rgb[i + 2][k] : 2 * v2 - v1;
    const u = (t - i / n) * n;
    const u2 = u * u;
    const u3 = u2 * u;
    return Math.round(Math.min(255, Math.max(0, ((1 - 3 * u + 3 * u2 - u3) * v0 + (4 - 6 * u2 + 3 * u3) * v1 + (1 + 3 * u + 3 * u2 - 3 * u3) * v2 + u3 * v3) / 6)));
  };
  return `rgb(${channel(0)}, ${channel(1)}, ${channel(2)})`;
}

export type Config = Json;

export function configFor(panel: Panel, field: { name: string; refId?: string; type?: string }): Config {
  const out: Config = { ...panel.defaults, custom: { ...(panel.defaults.custom ?? {}) } };
  for (const o of panel.overrides) if (matches(o, field)) apply(out, o);
  return out;
}

function regex(text: string): RegExp | null {
  const match = /^\/(.*)\/([a-z]*)$/s.exec(text);
  try {
    return match ? new RegExp(match[1], match[2].replace('g', '')) : new RegExp(text);
  } catch {
    return null;
  }
}

function matches(o: Override, field: { name: string; refId?: string; type?: string }): boolean {
  const opt = o.matcher.options;
  switch (o.matcher.id) {
    case 'byName':
      return field.name === opt;
    case 'byRegexp':
      return regex(String(opt))?.test(field.name) ?? false;
    case 'byNames': {
      const hit = (opt?.names ?? []).includes(field.name);
      return opt?.mode === 'exclude' ? !hit : hit;
    }
    case 'byFrameRefID':
      return field.refId === opt;
    case 'byType':
      return field.type === opt;
  }
  return false;
}

function apply(out: Config, o: Override): void {
  for (const { id, value } of o.properties) {
    if (id.startsWith('custom.')) {
      const keys = id.slice(7).split('.');
      let at = out.custom;
      for (const k of keys.slice(0, -1)) at = at[k] = { ...(at[k] ?? {}) };
      at[keys[keys.length - 1]] = value;
    } else out[id] = value;
  }
}

export function thresholdColor(config: Config, value: number, lo: number, hi: number): string {
  const t = config.thresholds ?? { mode: 'absolute', steps: [{ color: 'green', value: null }, { color: 'red', value: 80 }] };
  const steps = t.steps ?? [];
  const at = t.mode === 'percentage' ? (hi > lo ? (100 * (value - lo)) / (hi - lo) : 0) : value;
  let color = steps[0]?.color;
  for (const s of steps) if (s.value === null || s.value === undefined || s.value === '-Infinity' || at >= Number(s.value)) color = s.color;
  return colorOf(color);
}

function mapped(config: Config, value: number | string | null): { text?: string; color?: string } | null {
  for (const m of config.mappings ?? []) {
    if (m.type === 'value') {
      const hit = value !== null ? m.options?.[String(value)] : undefined;
      if (hit) return hit;
    } else if (m.type === 'range') {
      if (typeof value !== 'number' && (value === null || Number.isNaN(Number(value)))) continue;
      const n = Number(value);
      const { from, to, result } = m.options ?? {};
      if (Number.isFinite(n) && (from === null || from === undefined || n >= from) && (to === null || to === undefined || n <= to)) return result;
    } else if (m.type === 'regex') {
      const re = regex(m.options?.pattern ?? '');
      if (value !== null && typeof value === 'string' && re?.test(value)) {
        const text = m.options.result?.text;
        return { ...m.options.result, text: text === undefined ? undefined : value.replace(re, text) };
      }
    } else if (m.type === 'special') {
      const nan = typeof value === 'number' && Number.isNaN(value);
      const kind = m.options?.match;
      if ((kind === 'null' && value === null) || (kind === 'nan' && nan) || (kind === 'null+nan' && (value === null || nan)) || (kind === 'empty' && value === '') || (kind === 'true' && value === ('true' as never)) || (kind === 'false' && value === ('false' as never))) return m.options.result ?? {};
    }
  }
  return null;
}

export interface Shown {
  text: string;
  color: string;
  percent: number;
  prefix?: string;
  suffix?: string;
}

export function display(config: Config, value: number | string | null, bounds: [number, number] = [0, 100], seriesColor?: string): Shown {
  const lo = config.min ?? bounds[0];
  const hi = config.max ?? bounds[1];
  const n = typeof value === 'number' ? value : NaN;
  const percent = Number.isFinite(n) && hi > lo ? (n - lo) / (hi - lo) : 0;
  const mode = config.color?.mode ?? 'thresholds';
  let color = '#808080';
  if (mode === 'fixed' || mode === 'shades') color = colorOf(config.color?.fixedColor);
  else if (mode === 'thresholds') color = Number.isNaN(n) ? colorOf(config.thresholds?.steps?.[0]?.color) : config.color || config.thresholds ? thresholdColor(config, n, lo, hi) : '#808080';
  else if (SCHEMES[mode]) color = spline(SCHEMES[mode], Math.min(1, Math.max(0, percent)));
  else if (seriesColor) color = seriesColor;
  const hit = mapped(config, value);
  if (hit?.color) color = colorOf(hit.color);
  if (hit && hit.text !== undefined && hit.text !== '') return { text: hit.text, color, percent };
  if (value === null || value === undefined) return { text: config.noValue ?? '', color, percent };
  if (typeof value === 'string') return { text: value, color, percent };
  const f = formatter(config.unit)(value, config.decimals);
  return { text: (f.prefix ?? '') + f.text + (f.suffix ?? ''), prefix: f.prefix, suffix: f.suffix, color, percent };
}

type Values = (number | null)[];
const finite = (v: Values): number[] => v.filter((x): x is number => x !== null && !Number.isNaN(x));

export function reduce(values: Values, how: string): number | null {
  const list = finite(values);
  const sum = (): number => list.reduce((a, b) => a + b, 0);
  switch (how) {
    case 'last':
      return values.length > 0 ? values[values.length - 1] : null;
    case 'first':
      return values.length > 0 ? values[0] : null;
    case 'firstNotNull':
      return list[0] ?? null;
    case 'min':
      return list.length > 0 ? Math.min(...list) : null;
    case 'max':
      return list.length > 0 ? Math.max(...list) : null;
    case 'mean':
    case 'avg':
      return list.length > 0 ? sum() / list.length : null;
    case 'sum':
    case 'total':
      return list.length > 0 ? sum() : null;
    case 'count':
      return values.length;
    case 'range':
      return list.length > 0 ? Math.max(...list) - Math.min(...list) : null;
    case 'diff':
      return list.length > 0 ? list[list.length - 1] - list[0] : null;
    case 'delta': {
      let d = 0;
      for (let i = 1; i < list.length; i++) d += list[i] >= list[i - 1] ? list[i] - list[i - 1] : list[i];
      return d;
    }
    case 'stdDev':
    case 'variance': {
      if (list.length === 0) return null;
      const mean = sum() / list.length;
      const variance = list.reduce((a, b) => a + (b - mean) ** 2, 0) / list.length;
      return how === 'stdDev' ? Math.sqrt(variance) : variance;
    }
    case 'median':
    case 'p50':
      return quantile(list, 0.5);
  }
  const p = /^p(\d+)$/.exec(how);
  if (p) return quantile(list, Number(p[1]) / 100);
  return list.length > 0 ? list[list.length - 1] : null;
}

function quantile(list: number[], q: number): number | null {
  if (list.length === 0) return null;
  const s = list.slice().sort((a, b) => a - b);
  return s[Math.min(s.length - 1, Math.round(q * (s.length - 1)))];
}
