// A heatmap on a canvas: times across, buckets up, colour by count.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { MatrixSeries } from '../api/client';
import { stamp } from '../format/time';
import { number } from '../format/value';
import { resolve } from './chart';

export interface HeatRow {
  lo: number;
  hi: number;
  label?: string;
}

export interface HeatProps {
  times: number[];
  step: number;
  rows: HeatRow[]; // From the lowest.
  cells: (number | null)[][]; // By row, then time.
  from: number;
  to: number;
  utc: boolean;
  dark: boolean;
  title: string;
  paint: (part: number) => string; // 0 is the least, 1 the most.
  format: (bound: number) => string;
  count: (n: number) => string;
  hideZero?: boolean;
  least?: number; // What has the first and the last colour, where it is not what was found.
  largest?: number;
  reverse?: boolean;
  onZoom?: (from: number, to: number) => void;
}

const MOST_ROWS = 120;

// Rows of native histograms. Each answer brings its own bounds; neighbours are joined until they fit.
export function cellsOf(series: MatrixSeries[], times: number[]): { rows: HeatRow[]; cells: (number | null)[][] } {
  const place = new Map(times.map((t, i) => [Math.round(t * 1000), i]));
  const bounds = new Set<number>();
  const all: { at: number; lo: number; hi: number; n: number }[] = [];
  for (const s of series) {
    for (const [t, h] of s.histograms ?? []) {
      const at = place.get(Math.round(t * 1000));
      if (at === undefined) continue;
      for (const [, lo, hi, n] of h.buckets ?? []) {
        const one = { at, lo: number(lo), hi: number(hi), n: number(n) };
        all.push(one);
        bounds.add(one.lo).add(one.hi);
      }
    }
  }
  let edges = [...bounds].sort((a, b) => a - b);
  const keep = Math.ceil(edges.length / MOST_ROWS);
  if (keep > 1) edges = edges.filter((_, i) => i % keep === 0 || i === edges.length - 1);
  const rows = edges.slice(0, -1).map((lo, i): HeatRow => ({ lo, hi: edges[i + 1] }));
  const cells = rows.map(() => new Array<number | null>(times.length).fill(null));
  for (const { at, lo, n } of all) {
    let i = 0;
    let j = rows.length - 1;
    while (i < j) {
      const mid = (i + j + 1) >> 1;
      if (rows[mid].lo <= lo) i = mid;
      else j = mid - 1;
    }
    if (rows[i]) cells[i][at] = (cells[i][at] ?? 0) + n;
  }
  return { rows, cells };
}

export function Heatmap(props: HeatProps) {
  const host = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  const [tip, setTip] = useState<{ x: number; y: number; row: number; at: number } | null>(null);
  const drag = useRef<number | null>(null);
  const { times, rows, cells, from, to, step } = props;
  const left = 64;
  const foot = 22;
  useEffect(() => {
    const watch = new ResizeObserver(() => host.current && setSize({ width: host.current.clientWidth, height: host.current.clientHeight }));
    watch.observe(host.current!);
    return () => watch.disconnect();
  }, []);
  const span = Math.max(1, to - from);
  const inner = Math.max(1, size.width - left - 8);
  const rowHeight = Math.max(1, (size.height - foot - 6) / Math.max(1, rows.length));
  const rowY = (i: number): number => 6 + (props.reverse ? i : rows.length - 1 - i) * rowHeight;
  useEffect(() => {
    const element = canvas.current;
    if (!element || size.width < 20) return;
    const dpr = devicePixelRatio;
    element.width = size.width * dpr;
    element.height = size.height * dpr;
    const ctx = element.getContext('2d')!;
    ctx.scale(dpr, dpr);
    let most = props.largest ?? 0;
    if (props.largest === undefined) for (const row of cells) for (const v of row) if (v !== null && v > most && Number.isFinite(v)) most = v;
    const least = Math.min(props.least ?? 0, most);
    const palette = Array.from({ length: 65 }, (_, i) => resolve(props.paint(i / 64)));
    const w = Math.max(1, (inner * step) / span);
    rows.forEach((_, i) => {
      const y = rowY(i);
      cells[i].forEach((v, k) => {
        if (v === null || !Number.isFinite(v) || (v <= 0 && (props.hideZero || v < 0)) || v === 0) return;
        const x = left + (inner * (times[k] - step - from)) / span;
        if (x + w < left || x > size.width) return;
        ctx.fillStyle = palette[Math.round(64 * Math.min(1, most > least ? (Math.max(0, v - least) / (most - least)) ** 0.7 : 0))];
        ctx.fillRect(Math.max(left, x), y, Math.max(1, w - (w > 6 ? 1 : 0)), Math.max(1, rowHeight - (rowHeight > 5 ? 1 : 0)));
      });
    });
    ctx.fillStyle = resolve('var(--faint)');
    ctx.font = '11px Inter, system-ui, sans-serif';
    ctx.textBaseline = 'middle';
    ctx.textAlign = 'right';
    const every = Math.max(1, Math.ceil(16 / rowHeight));
    rows.forEach((r, i) => i % every === 0 && ctx.fillText((r.label ?? props.format(r.hi)).slice(0, 12), left - 6, rowY(i) + rowHeight / 2));
    ctx.textAlign = 'left';
    const ticks = Math.max(2, Math.floor(inner / 120));
    for (let k = 0; k < ticks; k++) {
      const t = from + (span * k) / ticks;
      ctx.fillText(stamp(t, props.utc).slice(span > 2 * 86_400 ? 5 : 11, 16), left + (inner * k) / ticks, size.height - foot / 2);
    }
  }, [times, rows, cells, from, to, size, props.dark, props.utc, props.paint]);
  const place = (e: MouseEvent): { x: number; y: number; t: number; row: number } => {
    const box = host.current!.getBoundingClientRect();
    const x = e.clientX - box.left;
    const y = e.clientY - box.top;
    const at = Math.floor((y - 6) / rowHeight);
    return { x, y, t: from + ((x - left) / inner) * span, row: props.reverse ? at : rows.length - 1 - at };
  };
  const value = tip ? cells[tip.row]?.[tip.at] : null;
  return (
    <div
      ref={host}
      class="heatmap"
      role="img"
      aria-label={`${props.title}: heatmap of ${rows.length} buckets from ${stamp(from, props.utc)} to ${stamp(to, props.utc)}`}
      data-heat-rows={rows.length}
      onMouseMove={(e) => {
        const p = place(e);
        const k = times.findIndex((t) => t >= p.t);
        setTip(k >= 0 && rows[p.row] ? { x: p.x, y: p.y, row: p.row, at: k } : null);
      }}
      onMouseLeave={() => setTip(null)}
      onMouseDown={(e) => (drag.current = place(e).t)}
      onMouseUp={(e) => {
        const a = drag.current;
        drag.current = null;
        const b = place(e).t;
        if (a !== null && Math.abs(b - a) > span / 100) props.onZoom?.(Math.min(a, b), Math.max(a, b));
      }}
    >
      <canvas ref={canvas} />
      {tip && value !== null && value !== undefined && (
        <div class="chart-tip" style={{ transform: `translate(${Math.min(tip.x + 14, Math.max(0, size.width - 210))}px, ${Math.max(0, tip.y - 20)}px)` }}>
          <div class="tip-time">{stamp(times[tip.at], props.utc)}</div>
          <div class="tip-row near"><span>{rows[tip.row].label ?? `${props.format(rows[tip.row].lo)} to ${props.format(rows[tip.row].hi)}`}</span><b>{props.count(value)}</b></div>
        </div>
      )}
    </div>
  );
}
