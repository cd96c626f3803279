// A small drawing with two axes in numbers, for what is not over time or not a line: points and candles.
import type { ComponentChildren } from 'preact';

export interface Scale {
  lo: number;
  hi: number;
  log?: number;
}

const WIDTH = 1000;
const HEIGHT = 600;

// Where a value stands, from 0 to 1.
export function placeOn({ lo, hi, log }: Scale, v: number): number {
  if (log && lo > 0 && v > 0) return Math.log(v / lo) / Math.log(hi / lo || Math.E);
  return hi > lo ? (v - lo) / (hi - lo) : 0.5;
}

// From the least to the largest with some room; a file's own bounds stand.
export function scaleOf(values: number[], min?: unknown, max?: unknown, log?: number): Scale {
  const known = values.filter(Number.isFinite);
  let lo = known.reduce((a, b) => Math.min(a, b), Infinity);
  let hi = known.reduce((a, b) => Math.max(a, b), -Infinity);
  if (!(lo <= hi)) [lo, hi] = [0, 1];
  const room = lo === hi ? Math.abs(lo) * 0.1 || 1 : 0.04 * (hi - lo);
  const number = (v: unknown, otherwise: number): number => (typeof v === 'number' && Number.isFinite(v) ? v : otherwise);
  return { lo: number(min, log && lo > 0 ? lo : lo >= 0 && lo - room < 0 ? 0 : lo - room), hi: number(max, hi + room), log: log && lo > 0 ? log : undefined };
}

const STEPS = [1, 2, 2.5, 5, 10];

// Some four to six round values between the ends.
export function ticksOf({ lo, hi, log }: Scale): number[] {
  if (log) {
    const out: number[] = [];
    for (let e = Math.ceil(Math.log(lo) / Math.log(log) - 1e-9); log ** e <= hi * 1.000001 && out.length < 12; e++) out.push(Number((log ** e).toPrecision(12)));
    return out;
  }
  const raw = (hi - lo) / 5;
  if (!(raw > 0) || !Number.isFinite(raw)) return [lo];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * (STEPS.find((s) => s * power >= raw) ?? 10);
  const out: number[] = [];
  for (let k = Math.ceil(lo / step - 1e-9); k * step <= hi + step * 1e-9 && out.length < 20; k++) out.push(Number((k * step).toPrecision(12)));
  return out;
}

interface PlotProps {
  label: string;
  x: Scale;
  y: Scale;
  xText: (v: number) => string;
  yText: (v: number) => string;
  xTicks?: number[];
  xName?: string;
  yName?: string;
  children: (place: { x: (v: number) => number; y: (v: number) => number; width: number; height: number }) => ComponentChildren;
}

export function Plot({ label, x, y, xText, yText, xTicks, xName, yName, children }: PlotProps) {
  const at = { x: (v: number) => WIDTH * placeOn(x, v), y: (v: number) => HEIGHT * (1 - placeOn(y, v)), width: WIDTH, height: HEIGHT };
  const across = xTicks ?? ticksOf(x);
  const up = ticksOf(y);
  const wide = up.reduce((n, v) => Math.max(n, yText(v).length), 3) * 6.5 + (yName ? 16 : 0);
  const part = (v: number): string => `${(100 * v).toFixed(2)}%`;
  return (
    <div class="plot" role="img" aria-label={label}>
      <div class="plot-y" style={{ width: `${wide}px` }}>{yName && <b>{yName}</b>}{up.map((v) => <span key={v} style={{ bottom: part(placeOn(y, v)) }}>{yText(v)}</span>)}</div>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none">
        {up.map((v) => <line key={v} x1={0} x2={WIDTH} y1={at.y(v)} y2={at.y(v)} class="plot-grid" />)}
        {children(at)}
      </svg>
      <div class="plot-x">{across.map((v) => <span key={v} style={{ left: part(placeOn(x, v)) }}>{xText(v)}</span>)}{xName && <b>{xName}</b>}</div>
    </div>
  );
}
