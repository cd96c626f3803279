// One number over another: the xychart of Grafana, in its files before and since 11, and its trend, whose
// numbers across are in order and whose points are a line.
import { useMemo } from 'preact/hooks';
import type { Answer, Context } from '../ask';
import { colorOf } from '../colors';
import { configFor, display, thresholdColor, titleOf, type Config } from '../field';
import { find, type Field, type Frame } from '../frames';
import { join } from '../join';
import { fieldMatcher, frameMatcher } from '../matchers';
import type { Json, Panel } from '../model';
import { Plot, scaleOf } from './plot';
import { autoColor } from './timeseries';

const MOST = 4000; // Points of one series that are drawn.

export interface XySeries {
  name: string;
  x: Field;
  y: Field;
  config: Config;
  color: string;
  points: [number, number][];
  colors?: string[]; // A point's own.
  show: string; // points, lines, points+lines
  size: number;
}

const listOf = (v: Json): Json[] => (Array.isArray(v) ? v.filter((x) => x && typeof x === 'object') : []);
// A word, or an object that has it. (Text of JavaScript has a method of that name.)
const said = (v: Json): string => (typeof v === 'string' ? v : v && typeof v === 'object' && typeof v.fixed === 'string' ? v.fixed : '');
const numeric = (f: Field): boolean => f.type === 'number';

// Which columns go over which: what the file names, else the first number column (or the time) across and every
// other number column up.
function pairsOf(panel: Panel, frames: Frame[]): { frame: Frame; x: Field; y: Field; given?: Json }[] {
  const o = panel.options;
  const byName = (frame: Frame, name: Json): Field | undefined => (typeof name === 'string' && name !== '' ? find(frame, name, frames) : undefined);
  const by = (frame: Frame, matcher: Json): Field[] => (matcher?.id ? frame.fields.filter((f) => fieldMatcher(matcher, () => false)(f, frame, frames)) : []);
  const auto = (frame: Frame, x: Field | undefined, ys: Field[], given?: Json): { frame: Frame; x: Field; y: Field; given?: Json }[] => {
    const numbers = frame.fields.filter(numeric);
    const across = x ?? (numbers.length > 1 ? numbers[0] : frame.fields.find((f) => f.type === 'time'));
    return across ? (ys.length > 0 ? ys : numbers).filter((y) => y !== across).map((y) => ({ frame, x: across, y, given })) : [];
  };
  const series = listOf(o.series);
  const manual = (o.mapping ?? o.seriesMapping) === 'manual';
  if (series.length > 0 && (manual || series.some((s) => s.x?.matcher))) {
    return series.flatMap((s) => {
      const wanted = frameMatcher(s.frame?.matcher) ?? (typeof s.frame === 'number' ? (_f: Frame, i: number) => i === s.frame : null);
      return frames.filter((f, i) => wanted === null || wanted(f, i)).flatMap((frame) => (s.x?.matcher || s.y?.matcher ? auto(frame, by(frame, s.x?.matcher)[0], by(frame, s.y?.matcher), s) : auto(frame, byName(frame, s.x), [byName(frame, s.y)].filter((f) => f !== undefined), s)));
    });
  }
  const only = typeof o.dims?.frame === 'number' ? frames.slice(o.dims.frame, o.dims.frame + 1) : frames;
  const left = new Set<string>(Array.isArray(o.dims?.exclude) ? o.dims.exclude.map(String) : []);
  return only.flatMap((frame) => auto(frame, byName(frame, o.dims?.x ?? o.xField), frame.fields.filter((f) => numeric(f) && !left.has(f.name))));
}

export function seriesOver(panel: Panel, answer: Answer): XySeries[] {
  const trend = panel.type === 'trend';
  // Series that have nothing but their time are one table first, so that one can stand over the other.
  const alone = answer.frames.length > 1 && answer.frames.every((f) => f.fields.length === 2 && f.fields[0].type === 'time');
  const frames = (trend || panel.options.dims?.x || listOf(panel.options.series).length > 0) && alone ? join({}, answer.frames) : answer.frames;
  const pairs = pairsOf(panel, frames);
  return pairs.flatMap(({ frame, x, y, given }, i): XySeries[] => {
    const config = configFor(panel, y, frame, frames);
    if (config.custom?.hideFrom?.viz === true) return [];
    const name = said(given?.name) || titleOf(y, frame, frames, config);
    const rows = x.values.map((v, k) => [Number(v ?? NaN), Number(y.values[k] ?? NaN), k] as const).filter(([a, b]) => Number.isFinite(a) && Number.isFinite(b));
    if (trend) rows.sort(([a], [b]) => a - b);
    const every = Math.max(1, Math.ceil(rows.length / MOST));
    const kept = rows.filter((_, k) => k % every === 0);
    const fixed = said(given?.pointColor) || said(given?.color) || (config.color?.mode === 'fixed' ? config.color.fixedColor : undefined);
    const colorField = given?.color?.matcher ? frame.fields.find((f) => fieldMatcher(given.color.matcher, () => false)(f, frame, frames)) : typeof given?.pointColor?.field === 'string' ? find(frame, given.pointColor.field, frames) : undefined;
    const shades = colorField ? configFor(panel, colorField, frame, frames) : undefined;
    const size = Number(config.custom?.pointSize?.fixed ?? given?.pointSize?.fixed ?? config.custom?.pointSize);
    return [{
      name, x, y, config,
      color: fixed ? colorOf(String(fixed)) : autoColor(name, i, pairs.length),
      points: kept.map(([a, b]) => [a, b]),
      colors: colorField && shades ? kept.map(([, , k]) => thresholdColor(shades, Number(colorField.values[k]), Number(shades.min ?? 0), Number(shades.max ?? 100))) : undefined,
      show: String(config.custom?.show ?? (trend ? 'lines' : 'points')),
      size: Number.isFinite(size) ? Math.min(40, Math.max(2, size)) : 5,
    }];
  });
}

export function XyChart({ panel, answer, context, title }: { panel: Panel; answer: Answer; context: Context; title: string }) {
  const series = useMemo(() => seriesOver(panel, answer), [answer]);
  const drawn = series.filter((s) => s.points.length > 0);
  if (drawn.length === 0) return <div class="panel-message">No column of numbers over another.</div>;
  const across = drawn[0].x;
  const timed = across.type === 'time';
  const xConfig = across.config ?? {};
  const named = (s: XySeries): Config => configFor(panel, s.x, answer.frames[0], answer.frames);
  const xc = timed ? { unit: 'time:MM-DD HH:mm' } : { ...xConfig, unit: named(drawn[0]).unit, decimals: named(drawn[0]).decimals };
  const log = (c: Config): number | undefined => (c.custom?.scaleDistribution?.type === 'log' ? (Number(c.custom.scaleDistribution.log) || 10) : undefined);
  const first = drawn[0].config;
  const x = scaleOf(drawn.flatMap((s) => s.points.map(([a]) => a)));
  const y = scaleOf(drawn.flatMap((s) => s.points.map(([, b]) => b)), first.min, first.max, log(first));
  const text = (c: Config, v: number): string => display(c, v, [0, 100], undefined, context.utc).text;
  const legend = panel.options.legend ?? {};
  return (
    <div class="xy">
      <Plot label={`${title}: ${drawn.length} series of ${drawn.reduce((n, s) => n + s.points.length, 0)} points`} x={x} y={y} xText={(v) => text(xc, v)} yText={(v) => text({ unit: first.unit, decimals: first.decimals }, v)} xName={timed ? undefined : String(across.shown ?? across.name)} yName={first.custom?.axisLabel || undefined}>
        {(at) => drawn.map((s, i) => (
          <g key={i}>
            {s.show.includes('lines') && <path d={s.points.map(([a, b], k) => `${k === 0 ? 'M' : 'L'}${at.x(a).toFixed(1)} ${at.y(b).toFixed(1)}`).join('')} fill="none" stroke={s.color} stroke-width={Number(s.config.custom?.lineWidth) || 1.5} vector-effect="non-scaling-stroke" />}
            {/* A line of no length with round ends is a round point whatever the shape of the panel. */}
            {s.show.includes('points') && s.points.map(([a, b], k) => (
              <path key={k} d={`M${at.x(a).toFixed(1)} ${at.y(b).toFixed(1)}h0.01`} stroke={s.colors?.[k] ?? s.color} stroke-width={s.size} stroke-linecap="round" vector-effect="non-scaling-stroke"><title>{`${s.name}: ${text(xc, a)}, ${text(s.config, b)}`}</title></path>
            ))}
          </g>
        ))}
      </Plot>
      {legend.showLegend !== false && legend.displayMode !== 'hidden' && (
        <div class="ts-legend" role="group" aria-label="Series" tabIndex={0}>{drawn.map((s, i) => <span class="leg" key={i}><i class="swatch" style={{ background: s.color }} /><span class="clip">{s.name}</span></span>)}</div>
      )}
    </div>
  );
}
