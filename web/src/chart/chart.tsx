import type { Signal } from '@preact/signals';
import { effect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { stamp } from '../format/time';

// One canvas over uPlot. Lines stay at one device pixel once there are many (wider lines cost five
// times as much), and the hovered series is drawn again on a canvas of its own above a veil, because
// uPlot's own focus redraws everything at each move of the mouse.

export interface ChartSeries {
  label: string;
  color: string;
  values: (number | null)[];
  width?: number;
  fill?: number; // 0 to 1
  dash?: number[];
  shape?: 'line' | 'smooth' | 'before' | 'after' | 'bars' | 'points';
  points?: number; // Diameter; 0 is none.
  sparse?: boolean; // Points where there is room for them.
  axis?: number; // Which of the axes; the first unless said otherwise.
  stack?: string; // Series of one name stand on each other.
  spanNulls?: boolean;
  hidden?: boolean;
  fillTo?: number; // Not stacked: the fill ends at the series of this place.
  quiet?: boolean; // Not named at the pointer.
  format?: (value: number) => string; // At the pointer, where it is another than the axis'.
}

export interface Axis {
  format: (value: number) => string;
  min?: number;
  max?: number;
  log?: number;
  softMin?: number;
  softMax?: number;
  label?: string;
  hidden?: boolean;
  centerZero?: boolean;
  onRight?: boolean;
  binary?: boolean; // Its values are read in steps of 1024.
}

export interface ChartLine {
  value: number;
  color: string;
  line?: boolean; // True unless said otherwise.
  solid?: boolean;
  areaTo?: number; // Fills up to this value.
}

// A moment, or a stretch of time, that is worth a mark behind the lines.
export interface ChartMark {
  from: number;
  to?: number;
  color: string;
  title: string;
  text: string;
}

export interface Band {
  from: number;
  to: number;
  color: string;
}

export interface ChartProps {
  times: number[];
  series: ChartSeries[];
  from: number;
  to: number;
  height: number | 'fill';
  axes?: Axis[];
  utc: boolean;
  title: string;
  dark: boolean;
  sync?: string;
  focus?: Signal<number | null>;
  tooltip?: 'single' | 'multi' | 'none';
  tooltipOrder?: 'asc' | 'desc' | 'none'; // The largest first unless said otherwise.
  lines?: ChartLine[];
  marks?: ChartMark[];
  dots?: ChartDot[];
  bands?: Band[];
  onZoom?: (from: number, to: number) => void;
}

const NEAREST = 12;
const plainAxis: Axis = { format: String };
const POWERS = Array.from({ length: 81 }, (_, k) => 2 ** (k - 10));

function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function timeLabels(utc: boolean) {
  return (_u: uPlot, splits: number[], _axis: number, _space: number, incr: number): string[] => {
    let day = '';
    return splits.map((t) => {
      const text = stamp(t, utc);
      const date = text.slice(5, 10);
      const time = incr < 60 ? text.slice(11) : text.slice(11, 16);
      if (incr >= 86_400) return date;
      const turned = day !== '' && day !== date;
      day = date;
      return turned && text.slice(11) === '00:00:00' ? date : time;
    });
  };
}

// Sums upwards inside each stack; positive and negative values separately.
function stacked(series: ChartSeries[], length: number): { data: (number | null)[][]; below: (number | null)[] } {
  const data: (number | null)[][] = [];
  const below: (number | null)[] = [];
  const top = new Map<string, { sum: number[]; last: number }>();
  series.forEach((s, index) => {
    if (s.stack === undefined || s.hidden) {
      data.push(s.values);
      below.push(s.fillTo !== undefined && !s.hidden && series[s.fillTo]?.hidden === false ? s.fillTo : null);
      return;
    }
    const negative = s.values.some((v) => v !== null && v < 0);
    const key = `${s.stack}|${s.axis ?? 0}|${negative}`;
    const group = top.get(key) ?? { sum: new Array<number>(length).fill(0), last: -1 };
    const sum = group.sum.slice();
    data.push(s.values.map((v, i) => (v === null ? (group.last < 0 ? null : sum[i]) : (sum[i] += v))));
    below.push(group.last < 0 ? null : group.last);
    top.set(key, { sum, last: index });
  });
  return { data, below };
}

function withAlpha(color: string, alpha: number): string {
  return `color-mix(in oklab, ${color} ${Math.round(alpha * 100)}%, transparent)`;
}

// A canvas understands no color-mix(): the browser resolves it once.
const resolved = new Map<string, string>();
let resolver: HTMLElement | null = null;
export function resolve(color: string): string {
  let out = resolved.get(color);
  if (out === undefined) {
    if (!resolver) {
      resolver = document.createElement('span');
      resolver.hidden = true;
      document.body.append(resolver);
    }
    resolver.style.color = '';
    resolver.style.color = color;
    out = getComputedStyle(resolver).color || color;
    resolved.set(color, out);
  }
  return out;
}

function paths(shape: ChartSeries['shape']): uPlot.Series.PathBuilder | undefined {
  const p = uPlot.paths;
  if (shape === 'smooth') return p.spline?.();
  if (shape === 'after') return p.stepped?.({ align: 1 });
  if (shape === 'before') return p.stepped?.({ align: -1 });
  if (shape === 'bars') return p.bars?.({ size: [0.85, 80] });
  if (shape === 'points') return () => null;
  return undefined;
}

function scale(axis: Axis): uPlot.Scale {
  if (axis.log) {
    return {
      distr: 3,
      log: axis.log === 2 ? 2 : 10,
      range: (u, lo, hi) => uPlot.rangeLog(axis.min ?? (lo > 0 ? lo : 0.001), axis.max ?? (hi > 0 ? hi : 1), axis.log === 2 ? 2 : 10, true).map((v) => v || u.scales.y.min || 1) as uPlot.Range.MinMax,
    };
  }
  return {
    range: (_u, lo, hi) => {
      let low = lo ?? 0;
      let high = hi ?? 1;
      if (axis.centerZero) {
        high = Math.max(Math.abs(low), Math.abs(high));
        low = -high;
      }
      if (axis.softMin !== undefined) low = Math.min(low, axis.softMin);
      if (axis.softMax !== undefined) high = Math.max(high, axis.softMax);
      if (low === high) {
        const pad = Math.abs(low) * 0.1 || 1;
        low = low >= 0 && low - pad < 0 ? 0 : low - pad;
        high += pad;
      }
      const near = low >= 0 && low <= (high - low) * 0.5 ? 0 : low;
      const [a, b] = uPlot.rangeNum(near, high, { min: { pad: near === 0 ? 0 : 0.06, soft: 0, mode: near === 0 ? 1 : 0 }, max: { pad: 0.06, soft: 0, mode: high <= 0 ? 1 : 0 } });
      return [axis.min ?? a, axis.max ?? b] as uPlot.Range.MinMax;
    },
  };
}

function width(u: uPlot, labels: string[] | null): number {
  if (!labels || labels.length === 0) return 40;
  const longest = labels.reduce((a, b) => (b.length > a.length ? b : a), '');
  u.ctx.font = u.axes[1].font![0] as unknown as string;
  return Math.max(30, Math.ceil(u.ctx.measureText(longest).width / devicePixelRatio) + 14);
}

// A single thing at a time and a value: an exemplar.
export interface ChartDot {
  t: number;
  v: number;
  text: string;
}

function drawDots(u: uPlot, dots: ChartDot[], color: string, main: string): void {
  const { ctx, bbox } = u;
  const size = 4 * devicePixelRatio;
  ctx.fillStyle = resolve(color);
  for (const d of dots) {
    const x = u.valToPos(d.t, 'x', true);
    const y = u.valToPos(d.v, main, true);
    if (x < bbox.left || x > bbox.left + bbox.width || y < bbox.top || y > bbox.top + bbox.height) continue;
    ctx.beginPath();
    ctx.moveTo(x, y - size);
    ctx.lineTo(x + size, y);
    ctx.lineTo(x, y + size);
    ctx.lineTo(x - size, y);
    ctx.fill();
  }
}

function drawMarks(u: uPlot, marks: ChartMark[]): void {
  const { ctx, bbox } = u;
  const dpr = devicePixelRatio;
  for (const mark of marks) {
    const a = u.valToPos(mark.from, 'x', true);
    const b = mark.to === undefined ? a : u.valToPos(mark.to, 'x', true);
    if (b < bbox.left || a > bbox.left + bbox.width) continue;
    ctx.fillStyle = resolve(withAlpha(mark.color, 0.12));
    if (b > a) ctx.fillRect(Math.max(a, bbox.left), bbox.top, Math.min(b, bbox.left + bbox.width) - Math.max(a, bbox.left), bbox.height);
    ctx.fillStyle = resolve(withAlpha(mark.color, 0.8));
    ctx.fillRect(a, bbox.top, dpr, bbox.height);
    ctx.beginPath();
    ctx.moveTo(a - 4 * dpr, bbox.top + bbox.height);
    ctx.lineTo(a + 5 * dpr, bbox.top + bbox.height);
    ctx.lineTo(a + dpr / 2, bbox.top + bbox.height - 6 * dpr);
    ctx.fill();
  }
}

// What stands within a few pixels of the pointer.
function marksAt(u: uPlot, marks: ChartMark[], x: number): ChartMark[] {
  return marks.filter((m) => {
    const a = u.valToPos(m.from, 'x');
    return (m.to !== undefined && x >= a && x <= u.valToPos(m.to, 'x')) || Math.abs(a - x) < 5;
  }).slice(0, 4);
}

function build(host: HTMLElement, box: { width: number; height: number }, props: ChartProps): { plot: uPlot; stop: () => void } {
  const many = props.series.length > 30;
  const { data, below } = stacked(props.series, props.times.length);
  const axes = props.axes && props.axes.length > 0 ? props.axes : [plainAxis];
  const used = axes.map((_, i) => props.series.some((s) => !s.hidden && (s.axis ?? 0) === i));
  if (!used.includes(true)) used[0] = true;
  // What is drawn of hidden series does not matter, but it must have a scale.
  const axisIndex = (s: ChartSeries): number => (used[s.axis ?? 0] ? (s.axis ?? 0) : used.indexOf(true));
  const scaleName = (i: number): string => (i === 0 ? 'y' : `y${i + 1}`);
  const main = scaleName(used.indexOf(true));
  const hasRight = axes.some((a, i) => used[i] && a.onRight && !a.hidden);
  const grid = { stroke: resolve(token('--grid')), width: 1 / devicePixelRatio };
  const font = `11px Inter, system-ui, sans-serif`;
  const ink = resolve(token('--faint'));
  const yAxis = (axis: Axis, name: string, side: 1 | 3, withGrid: boolean): uPlot.Axis => ({
    scale: name,
    side,
    show: !axis.hidden,
    stroke: ink,
    font,
    grid: withGrid ? grid : { show: false },
    ticks: { show: false },
    gap: 6,
    space: 32,
    incrs: axis.binary ? POWERS : undefined,
    label: axis.label,
    labelFont: font,
    labelSize: axis.label ? 18 : 0,
    values: (_u, splits) => splits.map((v) => (v === null ? '' : axis.format(v))),
    size: (u, labels) => width(u, labels),
  });

  let tip: HTMLDivElement | null = null;
  let veil: HTMLCanvasElement | null = null;
  let over = false;

  const drawFocus = (u: uPlot, index: number | null, at: number | null | undefined): void => {
    if (!veil) return;
    const dpr = devicePixelRatio;
    const w = Math.round(u.bbox.width);
    const h = Math.round(u.bbox.height);
    if (veil.width !== w || veil.height !== h) {
      veil.width = w;
      veil.height = h;
    }
    const ctx = veil.getContext('2d')!;
    ctx.clearRect(0, 0, w, h);
    if (index === null || !props.series[index] || props.series[index].hidden) return;
    const s = props.series[index];
    if (props.series.length > 1) {
      ctx.globalAlpha = 0.72;
      ctx.fillStyle = resolve(token('--card'));
      ctx.fillRect(0, 0, w, h);
      ctx.globalAlpha = 1;
    }
    const y = scaleName(axisIndex(s));
    ctx.strokeStyle = resolve(s.color);
    ctx.lineWidth = 2 * dpr;
    ctx.lineJoin = 'round';
    ctx.beginPath();
    let pen = false;
    const values = data[index];
    for (let i = 0; i < values.length; i++) {
      const v = values[i];
      if (v === null || v === undefined) {
        if (v === null) pen = pen && s.spanNulls === true;
        continue;
      }
      const px = u.valToPos(props.times[i], 'x') * dpr;
      const py = u.valToPos(v, y) * dpr;
      if (pen) ctx.lineTo(px, py);
      else ctx.moveTo(px, py);
      pen = true;
    }
    ctx.stroke();
    const v = at === null || at === undefined ? null : values[at];
    if (v !== null && v !== undefined) {
      ctx.fillStyle = resolve(s.color);
      ctx.beginPath();
      ctx.arc(u.valToPos(props.times[at!], 'x') * dpr, u.valToPos(v, y) * dpr, 3.5 * dpr, 0, 7);
      ctx.fill();
    }
  };

  const showTip = (u: uPlot): void => {
    const i = u.cursor.idx;
    const x = u.cursor.left ?? -1;
    const y = u.cursor.top ?? -1;
    if (!tip) return;
    if (!over || i === null || i === undefined || x < 0) {
      tip.hidden = true;
      drawFocus(u, props.focus?.value ?? null, i);
      return;
    }
    const rows: { index: number; distance: number; value: number }[] = [];
    props.series.forEach((s, index) => {
      const drawn = data[index][i];
      if (s.hidden || s.quiet || drawn === null || drawn === undefined) return;
      const distance = Math.abs(u.valToPos(drawn, scaleName(axisIndex(s))) - y);
      rows.push({ index, distance, value: s.values[i] ?? drawn });
    });
    rows.sort((a, b) => a.distance - b.distance);
    const nearest = rows[0];
    const close = nearest && nearest.distance < 40 ? nearest.index : null;
    drawFocus(u, props.series.length > 1 || close !== null ? close : null, i);
    if (rows.length === 0 || props.tooltip === 'none') {
      tip.hidden = true;
      return;
    }
    const shown = (props.tooltip === 'multi' ? rows.slice(0, NEAREST) : rows.slice(0, 1)).slice();
    if (props.tooltip === 'multi') shown.sort(props.tooltipOrder === 'none' ? (a, b) => a.index - b.index : (a, b) => (props.tooltipOrder === 'asc' ? a.value - b.value : b.value - a.value));
    tip.replaceChildren();
    const time = document.createElement('div');
    time.className = 'tip-time';
    time.textContent = stamp(props.times[i], props.utc);
    tip.append(time);
    for (const dot of (props.dots ?? []).filter((d) => Math.abs(u.valToPos(d.t, 'x') - x) < 6 && Math.abs(u.valToPos(d.v, main) - y) < 8).slice(0, 3)) {
      const line = document.createElement('div');
      line.className = 'tip-mark';
      line.textContent = dot.text;
      tip.append(line);
    }
    for (const mark of marksAt(u, props.marks ?? [], x)) {
      const line = document.createElement('div');
      line.className = 'tip-mark';
      line.textContent = [mark.title, mark.text].filter(Boolean).join(': ');
      tip.append(line);
    }
    for (const row of shown) {
      const s = props.series[row.index];
      const line = document.createElement('div');
      line.className = row.index === close ? 'tip-row near' : 'tip-row';
      const mark = document.createElement('i');
      mark.style.background = s.color;
      const name = document.createElement('span');
      name.textContent = s.label;
      const value = document.createElement('b');
      value.textContent = (s.format ?? (axes[s.axis ?? 0] ?? axes[0]).format)(row.value);
      line.append(mark, name, value);
      tip.append(line);
    }
    if (props.tooltip === 'multi' && rows.length > shown.length) {
      const more = document.createElement('div');
      more.className = 'tip-more';
      more.textContent = `+${rows.length - shown.length} more`;
      tip.append(more);
    }
    tip.hidden = false;
    const w = tip.offsetWidth;
    const h = tip.offsetHeight;
    const toLeft = x + 16 + w > u.over.clientWidth;
    tip.style.transform = `translate(${Math.round(toLeft ? x - 16 - w : x + 16)}px, ${Math.round(Math.max(-8, Math.min(y - h / 2, u.over.clientHeight - h + 8)))}px)`;
  };

  const options: uPlot.Options = {
    width: box.width,
    height: box.height,
    padding: [10, hasRight ? 0 : 12, 0, 0],
    legend: { show: false },
    tzDate: props.utc ? (ts) => uPlot.tzDate(new Date(ts * 1e3), 'Etc/UTC') : undefined,
    cursor: {
      y: false,
      points: { show: false },
      drag: { x: props.onZoom !== undefined, y: false, setScale: false },
      sync: props.sync ? { key: props.sync } : undefined,
    },
    scales: {
      x: { time: true, range: () => [props.from, props.to] },
      ...Object.fromEntries(axes.map((a, i) => [scaleName(i), scale(a)])),
    },
    axes: [
      { stroke: ink, font, grid, ticks: { show: false }, gap: 6, size: 28, space: 84, values: timeLabels(props.utc) },
      ...axes.map((a, i) => ({ ...yAxis(a, scaleName(i), a.onRight ? 1 : 3, i === used.indexOf(true)), show: used[i] && !a.hidden })),
    ],
    series: [
      {},
      ...props.series.map((s): uPlot.Series => {
        const fill = s.fill ?? 0;
        const dots = s.shape === 'points' ? Math.max(s.points ?? 5, 3) : (s.points ?? 0);
        const lone = !s.values.some((v, i) => v !== null && v !== undefined && s.values[i + 1] !== null && s.values[i + 1] !== undefined);
        return {
          label: s.label,
          scale: scaleName(axisIndex(s)),
          show: !s.hidden,
          stroke: resolve(s.color),
          width: s.shape === 'points' ? 0 : many ? 1 / devicePixelRatio : (s.width ?? 1.5),
          fill: fill > 0 && s.shape !== 'points' ? resolve(withAlpha(s.color, fill)) : undefined,
          dash: s.dash,
          spanGaps: s.spanNulls ?? false,
          paths: paths(s.shape),
          points: dots > 0 || lone ? { show: true, size: dots || 5, fill: resolve(s.color), width: 0 } : s.sparse ? { size: 5, fill: resolve(s.color), width: 0 } : { show: false },
        };
      }),
    ],
    bands: below.flatMap((b, i) => {
      const s = props.series[i];
      return b === null || s.shape === 'bars' ? [] : [{ series: [i + 1, b + 1] as [number, number], fill: resolve(withAlpha(s.color, s.fill ?? 0)) }];
    }),
    hooks: {
      setCursor: [showTip],
      setSelect: [
        (u) => {
          if (u.select.width < 4) return;
          const a = u.posToVal(u.select.left, 'x');
          const b = u.posToVal(u.select.left + u.select.width, 'x');
          u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
          props.onZoom?.(a, b);
        },
      ],
      drawClear: [
        (u) => {
          for (const band of props.bands ?? []) {
            const a = Math.max(u.valToPos(band.from, 'x', true), u.bbox.left);
            const b = Math.min(u.valToPos(band.to, 'x', true), u.bbox.left + u.bbox.width);
            if (b <= a) continue;
            u.ctx.fillStyle = resolve(withAlpha(band.color, 0.12));
            u.ctx.fillRect(a, u.bbox.top, b - a, u.bbox.height);
          }
          for (const line of props.lines ?? []) {
            if (line.areaTo === undefined) continue;
            const clamp = (y: number): number => Math.min(u.bbox.top + u.bbox.height, Math.max(u.bbox.top, y));
            const y = (v: number): number => (v === Infinity ? u.bbox.top : v === -Infinity ? u.bbox.top + u.bbox.height : clamp(u.valToPos(v, main, true)));
            u.ctx.fillStyle = resolve(withAlpha(line.color, 0.1));
            u.ctx.fillRect(u.bbox.left, y(line.areaTo), u.bbox.width, y(line.value) - y(line.areaTo));
          }
          drawMarks(u, props.marks ?? []);
        },
      ],
      draw: [
        (u) => drawDots(u, props.dots ?? [], 'var(--warn)', main),
        (u) => {
          for (const line of props.lines ?? []) {
            if (line.line === false) continue;
            const y = u.valToPos(line.value, main, true);
            if (!Number.isFinite(y) || y < u.bbox.top || y > u.bbox.top + u.bbox.height) continue;
            u.ctx.save();
            u.ctx.strokeStyle = resolve(line.color);
            u.ctx.lineWidth = devicePixelRatio;
            u.ctx.setLineDash(line.solid ? [] : [6 * devicePixelRatio, 5 * devicePixelRatio]);
            u.ctx.beginPath();
            u.ctx.moveTo(u.bbox.left, y);
            u.ctx.lineTo(u.bbox.left + u.bbox.width, y);
            u.ctx.stroke();
            u.ctx.restore();
          }
        },
      ],
    },
  };

  const plot = new uPlot(options, [props.times, ...data] as unknown as uPlot.AlignedData, host);
  veil = document.createElement('canvas');
  veil.className = 'chart-focus';
  tip = document.createElement('div');
  tip.className = 'chart-tip';
  tip.hidden = true;
  plot.over.append(veil, tip);
  const enter = (): void => void (over = true);
  const leave = (): void => {
    over = false;
    showTip(plot);
  };
  plot.over.addEventListener('mouseenter', enter);
  plot.over.addEventListener('mouseleave', leave);
  const unfocus = props.focus ? effect(() => drawFocus(plot, props.focus!.value, null)) : () => undefined;
  return {
    plot,
    stop: () => {
      unfocus();
      plot.destroy();
    },
  };
}

export function Chart(props: ChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const live = useRef<{ plot: uPlot; stop: () => void } | null>(null);

  useEffect(() => {
    const element = host.current!;
    const size = () => ({ width: Math.max(80, element.clientWidth), height: Math.max(60, props.height === 'fill' ? element.clientHeight : props.height) });
    live.current = build(element, size(), props);
    const watch = new ResizeObserver(() => {
      const next = size();
      const plot = live.current?.plot;
      if (plot && (plot.width !== next.width || plot.height !== next.height)) plot.setSize(next);
    });
    watch.observe(element);
    return () => {
      watch.disconnect();
      live.current?.stop();
      live.current = null;
    };
  }, [props.times, props.series, props.from, props.to, props.height, props.utc, props.dark, props.axes, props.lines, props.bands, props.marks, props.dots]);

  const shown = props.series.filter((s) => !s.hidden).length;
  return (
    <div
      ref={host}
      class={props.height === 'fill' ? 'chart fill' : 'chart'}
      role="img"
      aria-label={`${props.title}: ${shown} series from ${stamp(props.from, props.utc)} to ${stamp(props.to, props.utc)}`}
      data-series-count={shown}
      style={props.height === 'fill' ? undefined : { height: `${props.height}px` }}
    />
  );
}
