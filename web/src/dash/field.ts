import { blend, colorOf, schemeOf } from './colors';
import { nameOf, type Cell, type Field, type Frame } from './frames';
import type { Json, Override, Panel } from './model';
import { fieldMatcher, pattern } from './matchers';
import { formatter } from './units';
export { colorOf } from './colors';
export { reduce } from './reduce';

// What a value looks like: text by unit and mappings, colour by thresholds or scheme.

export type Config = Json;

// The panel's defaults, what a transformation said, then each override that means this field.
export function configFor(panel: Panel, field: Field, frame: Frame, all: Frame[]): Config {
  const out: Config = { ...panel.defaults, ...field.config, custom: { ...(panel.defaults.custom ?? {}) } };
  for (const o of panel.overrides) if (meant(o)(field, frame, all)) apply(out, o);
  if (typeof out.min === 'number' && typeof out.max === 'number' && out.min > out.max) [out.min, out.max] = [out.max, out.min];
  return out;
}

type Meant = ReturnType<typeof fieldMatcher>;
const matchers = new WeakMap<Override, Meant>();

// An expression is read once, not once for every field.
function meant(o: Override): Meant {
  const known = matchers.get(o);
  if (known) return known;
  const made = fieldMatcher(o.matcher, () => false);
  matchers.set(o, made);
  return made;
}

const FORBIDDEN = new Set(['__proto__', 'constructor', 'prototype']);

function apply(out: Config, o: Override): void {
  for (const { id, value } of o.properties) {
    const keys = id.split('.');
    if (keys.some((k) => FORBIDDEN.has(k))) continue;
    let at = out;
    for (const k of keys.slice(0, -1)) at = at[k] = { ...(at[k] ?? {}) };
    const last = keys[keys.length - 1];
    // Nothing takes back what was said before; of lists (links, mappings) both count, the later one first.
    if (value === null || value === undefined) delete at[last];
    else at[last] = Array.isArray(value) && Array.isArray(at[last]) ? [...value, ...at[last]] : value;
  }
}

// The least and the largest number of all fields: what min and max are where the file names none.
export function rangeOver(frames: Frame[]): [number, number] | null {
  let lo = Infinity;
  let hi = -Infinity;
  for (const frame of frames) {
    for (const field of frame.fields) {
      if (field.type !== 'number') continue;
      for (const v of field.values) {
        if (typeof v !== 'number' || Number.isNaN(v)) continue;
        if (v < lo) lo = v;
        if (v > hi) hi = v;
      }
    }
  }
  return lo <= hi ? [lo, hi] : null;
}

export function titleOf(field: Field, frame: Frame, all: Frame[], config: Config): string {
  return config.displayName ? String(config.displayName) : nameOf(field, frame, all);
}

interface Step {
  color: string;
  value: number | string | null;
}

export function stepsOf(config: Config): Step[] {
  const steps = config.thresholds?.steps;
  return Array.isArray(steps) ? steps.filter((s) => s && typeof s === 'object') : [{ color: 'green', value: null }, { color: 'red', value: 80 }];
}
const edge = (s: Step): number => (s.value === null || s.value === undefined || s.value === '-Infinity' ? -Infinity : Number(s.value));

export function thresholdColor(config: Config, value: number, lo: number, hi: number): string {
  const at = config.thresholds?.mode === 'percentage' ? (hi > lo ? (100 * (value - lo)) / (hi - lo) : 0) : value;
  const steps = stepsOf(config);
  let color = steps[0]?.color;
  for (const s of steps) {
    if (!(at >= edge(s))) break;
    color = s.color;
  }
  return colorOf(color);
}

// Thresholds as values on the field's own scale, for lines, areas and the ends of gauges.
export function thresholdEdges(config: Config, lo: number, hi: number): { value: number; color: string }[] {
  return stepsOf(config).map((s) => ({ color: colorOf(s.color), value: config.thresholds?.mode === 'percentage' && Number.isFinite(edge(s)) ? lo + ((hi - lo) * edge(s)) / 100 : edge(s) }));
}

function mapped(config: Config, value: Cell): { text?: string; color?: string } | null {
  for (const m of Array.isArray(config.mappings) ? config.mappings : []) {
    const o = m?.options ?? {};
    const nan = typeof value === 'number' && Number.isNaN(value);
    const missing = value === null || value === undefined;
    switch (m?.type) {
      case 'value':
        if (value !== null && value !== undefined && Object.hasOwn(o, String(value))) return o[String(value)];
        break;
      case 'range': {
        const n = value === null || value === undefined ? NaN : parseFloat(String(value));
        const limit = (x: unknown, otherwise: number): number => (x === null || x === undefined || x === '' || Number.isNaN(Number(x)) ? otherwise : Number(x));
        if (!Number.isNaN(n) && !(n < limit(o.from, -Infinity)) && !(n > limit(o.to, Infinity))) return o.result ?? {};
        break;
      }
      case 'regex': {
        const re = pattern(String(o.pattern ?? ''));
        if (typeof value === 'string' && re !== null && value.search(re) >= 0) return { ...o.result, text: o.result?.text === undefined || o.result.text === null ? undefined : value.replace(re, o.result.text) };
        break;
      }
      case 'special':
        if ((o.match === 'null' && missing) || (o.match === 'nan' && nan) || (o.match === 'null+nan' && (missing || nan)) || (o.match === 'empty' && value === '') || (o.match === 'true' && String(value) === 'true') || (o.match === 'false' && String(value) === 'false')) return o.result ?? {};
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
  number: number; // NaN: not one.
}

// `bounds` are what min and max are where the file names none; `own` is the series' own colour.
export function display(config: Config, value: Cell, bounds: [number, number] = [0, 100], own?: string, utc = false): Shown {
  const unit: string | undefined = config.unit;
  const n = value === null || value === undefined || value === '' || unit === 'string' || (typeof value === 'string' && unit === undefined) || typeof value === 'boolean' ? (typeof value === 'boolean' ? Number(value) : NaN) : Number(value);
  const lo = config.min ?? bounds[0];
  const hi = config.max ?? bounds[1];
  const percent = !Number.isNaN(n) && n !== -Infinity && hi > lo ? (n - lo) / (hi - lo) : 0;
  const hit = mapped(config, value);
  const made = { percent, number: n, color: hit?.color ? colorOf(hit.color) : valueColor(config, n, percent, lo, hi, own) };
  if (hit && hit.text !== undefined && hit.text !== null) return { ...made, text: String(hit.text) };
  if (value === null || value === undefined || value === '') return { ...made, text: config.noValue ?? '' };
  // What is true or false has no unit.
  if (Number.isNaN(n) || typeof value === 'boolean') return { ...made, text: String(value) };
  const f = formatter(unit, utc)(n, config.decimals);
  return { ...made, text: (f.prefix ?? '') + f.text + (f.suffix ?? ''), prefix: f.prefix, suffix: f.suffix };
}

function valueColor(config: Config, n: number, percent: number, lo: number, hi: number, own?: string): string {
  const mode: string = config.color?.mode ?? 'thresholds';
  if (mode === 'fixed' || mode === 'shades' || mode === 'gradient') return colorOf(config.color?.fixedColor);
  const scheme = schemeOf(mode);
  if (scheme) return blend(scheme, percent);
  if (mode === 'thresholds') {
    if (!config.color && !config.thresholds) return '#808080';
    return Number.isNaN(n) ? colorOf(stepsOf(config)[0]?.color) : thresholdColor(config, n, lo, hi);
  }
  return own ?? '#808080';
}
