import { useSignal } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import { dark } from '../../app/settings';
import { Chart, type Axis, type ChartLine, type ChartSeries } from '../../chart/chart';
import { hash, paint } from '../../chart/color';
import { useExemplars } from '../../explore/exemplars';
import type { Answer, Context, One } from '../ask';
import { blend, colorOf, schemeOf } from '../colors';
import { display, reduce, thresholdColor, thresholdEdges, type Config } from '../field';
import type { Panel } from '../model';
import { reducerName } from '../reduce';

export const autoColor = (name: string, i: number, n: number): string => paint(n <= 10 ? i : hash(name) % 30, dark.value);

// One colour for a whole series.
export function seriesColor(one: One, i: number, n: number): string {
  const { config } = one;
  const mode: string | undefined = config.color?.mode;
  if (mode === 'fixed' || mode === 'shades') return colorOf(config.color.fixedColor);
  const pick = config.color?.seriesBy ?? 'last';
  const value = reduce(one.values, pick === 'last' ? 'lastNotNull' : pick) ?? 0;
  if (mode === 'thresholds' && config.thresholds) return thresholdColor(config, value, config.min ?? 0, config.max ?? 100);
  const scheme = schemeOf(mode);
  if (scheme) {
    const lo = config.min ?? reduce(one.values, 'min') ?? 0;
    const hi = config.max ?? reduce(one.values, 'max') ?? 1;
    return blend(scheme, hi > lo ? (value - lo) / (hi - lo) : 0);
  }
  return autoColor(one.name, i, n);
}

// The sum of each stack of percentages, point by point.
function percentSums(series: One[]): Map<string, number[]> {
  const sums = new Map<string, number[]>();
  for (const { config, values } of series) {
    const s = config.custom?.stacking;
    if (s?.mode !== 'percent') continue;
    const sum = sums.get(s.group ?? 'A') ?? new Array<number>(values.length).fill(0);
    values.forEach((v, k) => (sum[k] += v ?? 0));
    sums.set(s.group ?? 'A', sum);
  }
  return sums;
}

const SHAPES: Record<string, ChartSeries['shape']> = { smooth: 'smooth', stepAfter: 'after', stepBefore: 'before' };

// Gaps of up to so many milliseconds are no gaps: what is not said is not there, what is null ends a line.
export function bridged(values: (number | null)[], times: number[], most: number): (number | null)[] {
  const out: (number | null | undefined)[] = values.slice();
  let last = -1;
  values.forEach((v, i) => {
    if (v === null) return;
    if (last >= 0 && i - last > 1 && (times[i] - times[last]) * 1000 <= most) out.fill(undefined, last + 1, i);
    last = i;
  });
  return out as (number | null)[];
}

function drawn(one: One, color: string, axis: number, sums: Map<string, number[]>, all: One[], times: number[]): ChartSeries {
  const c = one.config.custom ?? {};
  const sum = c.stacking?.mode === 'percent' ? sums.get(c.stacking.group ?? 'A') : undefined;
  const stack = c.stacking && c.stacking.mode !== 'none' && c.stacking.mode !== undefined ? `${c.stacking.group ?? 'A'}` : undefined;
  let values = one.values.map((v) => (v !== null && Number.isFinite(v) ? v : c.nullAsZero ? 0 : null));
  // Down to another series, by its name: then it is filled also where the file does not say how much.
  const fillTo = typeof c.fillBelowTo === 'string' && c.fillBelowTo !== '' && stack === undefined ? all.findIndex((o) => o.name === c.fillBelowTo) : -1;
  const opacity = fillTo >= 0 ? c.fillOpacity || 35 : (c.fillOpacity ?? 0);
  if (sum) values = values.map((v, k) => (v === null || sum[k] === 0 ? null : v / sum[k]));
  if (c.transform === 'negative-Y') values = values.map((v) => (v === null ? null : -v));
  if (c.transform === 'constant') {
    const first = values.find((v) => v !== null) ?? null;
    values = values.map(() => first);
  }
  if (typeof c.spanNulls === 'number' && stack === undefined) values = bridged(values, times, c.spanNulls);
  const style = c.lineStyle?.fill;
  return {
    label: one.name,
    color,
    values,
    width: c.lineWidth ?? 1,
    fill: Math.min(1, (opacity / 100) * (c.gradientMode && c.gradientMode !== 'none' ? 0.6 : 1)),
    dash: style === 'dash' || style === 'dot' ? (c.lineStyle.dash ?? (style === 'dot' ? [0, 6] : [10, 10])) : undefined,
    shape: c.drawStyle === 'bars' ? 'bars' : c.drawStyle === 'points' ? 'points' : SHAPES[c.lineInterpolation] ?? 'line',
    points: c.showPoints === 'always' || c.drawStyle === 'points' ? (c.pointSize ?? 5) : 0,
    sparse: c.showPoints === 'auto' && c.drawStyle !== 'bars',
    axis,
    stack,
    spanNulls: c.spanNulls === true || (typeof c.spanNulls === 'number' && stack !== undefined),
    hidden: c.hideFrom?.viz === true,
    fillTo: fillTo >= 0 ? fillTo : undefined,
    quiet: c.hideFrom?.tooltip === true,
    // What is drawn downwards is said as it was measured.
    format: sum ? undefined : (v) => display(one.config, c.transform === 'negative-Y' ? -v : v).text,
  };
}

const MOST_AXES = 5;

// Series of one unit share an axis. The first unit is on the left, others on the right, unless the file says
// where; a side may have several.
export function axesFor(series: { config: Config }[]): { of: number[]; configs: Config[]; right: boolean[] } {
  const first = (series.find(({ config }) => config.custom?.axisPlacement !== 'right') ?? series[0])?.config.unit ?? '';
  const keys: string[] = [];
  const configs: Config[] = [];
  const right: boolean[] = [];
  const of = series.map(({ config }): number => {
    const unit = String(config.unit ?? '');
    const said = config.custom?.axisPlacement ?? 'auto';
    const onRight = said === 'right' || (said !== 'left' && unit !== first);
    const key = `${onRight}|${unit}`;
    let at = keys.indexOf(key);
    if (at < 0 && keys.length >= MOST_AXES) at = Math.max(0, right.lastIndexOf(onRight));
    if (at < 0) {
      at = keys.push(key) - 1;
      configs.push(config);
      right.push(onRight);
    }
    return at;
  });
  return { of, configs, right };
}

function axisOf(config: Config | undefined, percent: boolean, onRight: boolean): Axis {
  const c = config?.custom ?? {};
  return {
    onRight,
    binary: !percent && /^([kmgtp]?bytes|bits|bin[Bb]ps|[KMGTP]i(Bs|bits))$/.test(String(config?.unit ?? '')),
    format: (v) => display({ unit: percent ? 'percentunit' : config?.unit, decimals: config?.decimals }, v).text,
    min: percent ? 0 : config?.min,
    max: percent ? 1 : config?.max,
    softMin: c.axisSoftMin,
    softMax: c.axisSoftMax,
    log: c.scaleDistribution?.type === 'log' ? (c.scaleDistribution.log ?? 10) : undefined,
    label: c.axisLabel || undefined,
    hidden: c.axisPlacement === 'hidden',
    centerZero: c.axisCenteredZero === true,
  };
}

export function TimeSeries({ panel, answer, context, title }: { panel: Panel; answer: Answer; context: Context; title: string }) {
  const hidden = useSignal<ReadonlySet<string>>(new Set());
  const focus = useSignal<number | null>(null);
  const theme = dark.value;
  const built = useMemo(() => {
    const all = answer.series;
    const placed = axesFor(all);
    const sums = percentSums(all);
    const series = all.map((one, i) => drawn(one, seriesColor(one, i, all.length), placed.of[i], sums, all, answer.times));
    // Of all, or of the first series that an override gives some.
    const edged = [panel.defaults, ...all.map((one) => one.config)].find((c) => !/^(off|series|undefined)$/.test(String(c.custom?.thresholdsStyle?.mode)));
    const style = String(edged?.custom.thresholdsStyle.mode ?? 'off');
    const edges = edged ? thresholdEdges(edged, edged.min ?? 0, edged.max ?? 100) : [];
    const lines: ChartLine[] = edges
      .map((e, i) => ({ ...e, to: edges[i + 1]?.value ?? Infinity }))
      .filter((e) => e.color !== 'transparent' && (Number.isFinite(e.value) || /area/.test(style)))
      .map((e) => ({ value: e.value, color: e.color, line: /line|dashed/.test(style) && Number.isFinite(e.value), solid: !/dashed/.test(style), areaTo: /area/.test(style) ? e.to : undefined }));
    const percent = (i: number): boolean => all.some((one, k) => placed.of[k] === i && one.config.custom?.stacking?.mode === 'percent');
    const axes = placed.configs.length > 0 ? placed.configs.map((c, i) => axisOf(c, percent(i), placed.right[i])) : [axisOf(panel.defaults, false, false)];
    return { series, axes, lines };
  }, [answer, theme]);
  const shown = useMemo(() => built.series.map((s, i) => (hidden.value.has(String(i)) ? { ...s, hidden: true } : s)), [built, hidden.value]);
  const pick = (i: number, e: MouseEvent): void => {
    const next = new Set(hidden.value);
    const key = String(i);
    if (e.ctrlKey || e.metaKey) {
      if (!next.delete(key)) next.add(key);
    } else {
      const alone = !next.has(key) && next.size === shown.length - 1;
      next.clear();
      if (!alone) shown.forEach((_, k) => k !== i && next.add(String(k)));
    }
    hidden.value = next;
  };
  const tooltip = panel.options.tooltip?.mode;
  const dots = useExemplars(answer.exemplars, answer.from, answer.to);
  return (
    <div class={`ts ${panel.options.legend?.placement === 'right' ? 'beside' : ''}`}>
      <div class="ts-chart">
        <Chart
          times={answer.times}
          series={shown}
          from={answer.from}
          to={answer.to}
          height="fill"
          axes={built.axes}
          lines={built.lines}
          marks={context.marks}
          dots={dots}
          utc={context.utc}
          dark={theme}
          title={title}
          sync={context.board.sharedTooltip ? `board-${context.board.uid}` : `panel-${panel.id}`}
          focus={focus}
          tooltipOrder={/^(asc|none)$/.test(String(panel.options.tooltip?.sort)) ? panel.options.tooltip.sort : 'desc'}
          tooltip={tooltip === 'none' ? 'none' : tooltip === 'single' ? 'single' : 'multi'}
          onZoom={context.onZoom}
        />
      </div>
      <Legend panel={panel} series={answer.series} drawn={shown} onPick={pick} onFocus={(i) => (focus.value = i)} />
    </div>
  );
}

function Legend({ panel, series, drawn: shown, onPick, onFocus }: { panel: Panel; series: One[]; drawn: ChartSeries[]; onPick: (i: number, e: MouseEvent) => void; onFocus: (i: number | null) => void }) {
  const options = panel.options.legend ?? {};
  if (options.showLegend === false || options.displayMode === 'hidden') return null;
  const calcs: string[] = Array.isArray(options.calcs) ? options.calcs : [];
  const asTable = options.displayMode === 'table' && calcs.length > 0;
  const empty = (i: number): boolean => (options.hideEmpty === true && series[i].values.every((v) => v === null)) || (options.hideZero === true && series[i].values.every((v) => !v));
  const order = series.map((_, i) => i).filter((i) => series[i].config.custom?.hideFrom?.legend !== true && !empty(i));
  const by = options.sortBy ? calcs.find((c) => c === options.sortBy || reducerName(c) === options.sortBy) : undefined;
  if (by) order.sort((a, b) => (options.sortDesc ? -1 : 1) * ((reduce(series[a].values, by) ?? -Infinity) - (reduce(series[b].values, by) ?? -Infinity)));
  else if (options.sortBy === 'Name') order.sort((a, b) => (options.sortDesc ? -1 : 1) * series[a].name.localeCompare(series[b].name));
  return (
    <div class={asTable ? 'ts-legend table' : 'ts-legend'} tabIndex={0} aria-label="Series" role="group" onMouseLeave={() => onFocus(null)}>
      {asTable && (
        <div class="leg head">
          <span class="grow" />
          {calcs.map((c) => (
            <b key={c}>{reducerName(c)}</b>
          ))}
        </div>
      )}
      {order.slice(0, 300).map((i) => {
        const { name, config, values } = series[i];
        return (
          <button type="button" class="leg" key={i} data-series={name} aria-pressed={!shown[i].hidden} title="Click: only this one. Ctrl-click: hide or show." onMouseEnter={() => onFocus(i)} onFocus={() => onFocus(i)} onClick={(e) => onPick(i, e)}>
            <i class="swatch" style={{ background: shown[i].color }} />
            <span class="clip">{name}</span>
            {calcs.map((c) => (
              <b key={c}>{asTable ? '' : `${reducerName(c)} `}{display(config, reduce(values, c)).text}</b>
            ))}
          </button>
        );
      })}
      {order.length > 300 && <span class="leg">+{order.length - 300} more</span>}
    </div>
  );
}
