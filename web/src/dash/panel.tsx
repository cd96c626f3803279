import { useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { ApiError, query, queryRange, recovered, type MatrixSeries, type VectorSample } from '../api/client';
import { href } from '../app/router';
import { dark } from '../app/settings';
import { align } from '../chart/align';
import { Chart, type ChartSeries } from '../chart/chart';
import { hash, paint } from '../chart/color';
import { pairs, seriesName } from '../format/labels';
import { parseDuration } from '../format/time';
import { number } from '../format/value';
import { Icon } from '../ui/icons';
import { Menu } from '../ui/parts';
import { colorOf, configFor, display, reduce, thresholdColor, type Config, type Shown } from './field';
import type { Dashboard, Panel } from './model';
import { transform, type Column, type Frame } from './table';
import { fill, intervalOf, type Scope, type Times } from './variables';

export interface Context {
  board: Dashboard;
  scope: Scope;
  from: number;
  to: number;
  turn: number;
  utc: boolean;
  onZoom: (from: number, to: number) => void;
  scrapeInterval: number;
}

interface One {
  refId: string;
  name: string;
  metric: Record<string, string>;
  values: (number | null)[];
}
interface Answer {
  times: number[];
  series: One[];
  frames: Frame[];
  from: number;
  to: number;
  failed: string[];
  notes: string[];
}

const INTERVALS = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];
const roundInterval = (s: number): number => INTERVALS.find((i) => i >= s * 0.8) ?? 86_400;

function legend(format: string, metric: Record<string, string>, expr: string): string {
  if (format === '') return seriesName(metric) === '{}' ? expr : seriesName(metric);
  return format.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, name) => metric[name] ?? '');
}

async function ask(panel: Panel, context: Context, width: number, local: Record<string, string>, signal: AbortSignal): Promise<Answer> {
  let { from, to } = context;
  const span = parseDuration(panel.timeFrom.replace(/^now-/, ''));
  if (span) from = to - span;
  const shift = parseDuration(panel.timeShift);
  if (shift) {
    from -= shift;
    to -= shift;
  }
  const points = panel.maxDataPoints ?? Math.max(100, Math.min(1500, width));
  const times: Times = { from, to, step: 1, interval: context.scrapeInterval };
  const minOf = (text: string): number => intervalOf(fill(text, context.board, context.scope, times, 'text'), context.scrapeInterval);
  const targets = panel.targets.filter((t) => !t.hide && t.expr !== '');
  const failed: string[] = [];
  const notes = new Set<string>();
  const steps = targets.map((t) => Math.max(roundInterval((to - from) / points), minOf(t.interval || panel.interval)) * t.factor);
  const step = Math.max(1, ...(steps.length > 0 ? [Math.min(...steps)] : [15]), Math.ceil((to - from) / 10_000));
  const end = Math.floor(to / step) * step;
  const start = Math.floor(from / step) * step;
  const table = panel.type === 'table';
  const parts = await Promise.all(
    targets.map(async (t) => {
      const expr = fill(t.expr, context.board, context.scope, { ...times, step }, 'query', local);
      const format = fill(t.legend, context.board, context.scope, times, 'text', local);
      try {
        const instant = t.instant || (table && !t.range && t.format === 'table');
        const answer = instant ? await query(expr, to, signal) : await queryRange(expr, start, end, step, signal);
        answer.warnings.forEach((w) => notes.add(w));
        let list: MatrixSeries[] = [];
        if (answer.data.resultType === 'matrix') list = answer.data.result;
        else if (answer.data.resultType === 'vector') list = answer.data.result.map((s: VectorSample) => ({ metric: s.metric, values: s.value ? [[end, s.value[1]] as [number, string]] : [] }));
        else list = [{ metric: {}, values: [[end, answer.data.result[1]]] }];
        return { t, expr, format, list, instant };
      } catch (e) {
        if (signal.aborted) throw e;
        failed.push((e as Error).message);
        return null;
      }
    }),
  );
  const good = parts.filter((p) => p !== null);
  const flat = good.flatMap((p) => p.list.map((s) => ({ p, s })));
  const { times: axis, columns } = align(flat.map(({ s }) => s), start, end, step);
  const keepNaN = (s: MatrixSeries): (number | null)[] => (s.values ?? []).map(([, v]) => number(v));
  const series = flat.map(({ p, s }, i): One => ({ refId: p.t.refId, name: legend(p.format, s.metric, p.expr), metric: s.metric, values: p.instant ? keepNaN(s) : columns[i] }));
  const frames: Frame[] = [];
  if (table || panel.transformations.length > 0) {
    const lone = good.length === 1;
    for (const p of good) {
      const asTable = p.t.format === 'table';
      if (!asTable) {
        for (const s of p.list) {
          const v = (s.values ?? []) as [number, string][];
          frames.push([
            { name: 'Time', type: 'time', refId: p.t.refId, values: v.map(([t]) => t * 1000) },
            { name: legend(p.format, s.metric, p.expr), type: 'number', refId: p.t.refId, values: v.map(([, x]) => number(x)) },
          ]);
        }
        continue;
      }
      const labels = [...new Set(p.list.flatMap((s) => Object.keys(s.metric)))].sort();
      const rows = p.list.flatMap((s) => (s.values ?? []).map(([t, v]) => ({ s, t, v })));
      frames.push([
        { name: 'Time', type: 'time', refId: p.t.refId, values: rows.map((r) => r.t * 1000) },
        ...labels.map((l): Column => ({ name: l, type: 'string', refId: p.t.refId, values: rows.map((r) => r.s.metric[l] ?? '') })),
        { name: lone ? 'Value' : `Value #${p.t.refId}`, type: 'number', refId: p.t.refId, values: rows.map((r) => number(r.v)) },
      ]);
    }
  }
  if (good.length === 0 && failed.length > 0) throw new ApiError(failed[0], 0);
  return { times: axis, series, frames: transform(frames, panel.transformations), from, to, failed, notes: [...notes] };
}

const autoColor = (one: One, i: number, n: number): string => paint(n <= 10 ? i : hash(one.name) % 30, dark.value);

function colored(config: Config, one: One, i: number, n: number): string {
  const mode = config.color?.mode;
  if (mode === 'fixed' || mode === 'shades') return colorOf(config.color.fixedColor);
  if (mode === 'thresholds' && config.thresholds) return thresholdColor(config, reduce(one.values, 'lastNotNull') ?? 0, config.min ?? 0, config.max ?? 100);
  return autoColor(one, i, n);
}

function TimeSeries({ panel, answer, context, title }: { panel: Panel; answer: Answer; context: Context; title: string }) {
  const hidden = useSignal<ReadonlySet<string>>(new Set());
  const focus = useSignal<number | null>(null);
  const theme = dark.value;
  const built = useMemo(() => {
    const n = answer.series.length;
    const list = answer.series.map((one, i) => {
      const config = configFor(panel, { name: one.name, refId: one.refId, type: 'number' });
      return { one, config, name: config.displayName ? fill(config.displayName, context.board, context.scope, { from: answer.from, to: answer.to, step: 1, interval: 15 }, 'text', Object.fromEntries(pairs(one.metric).map(([k, v]) => [`__field.labels.${k}`, v]))) : one.name, color: colored(config, one, i, n) };
    });
    const percentOf = new Map<string, number[]>();
    for (const { one, config } of list) {
      const stacking = config.custom?.stacking;
      if (stacking?.mode === 'percent') {
        const sum = percentOf.get(stacking.group ?? 'A') ?? new Array<number>(one.values.length).fill(0);
        one.values.forEach((v, k) => (sum[k] += v ?? 0));
        percentOf.set(stacking.group ?? 'A', sum);
      }
    }
    const series = list.map(({ one, config, name, color }): ChartSeries => {
      const c = config.custom ?? {};
      const percent = c.stacking?.mode === 'percent' ? percentOf.get(c.stacking.group ?? 'A') : undefined;
      let values = c.nullAsZero ? one.values.map((v) => v ?? 0) : one.values;
      if (percent) values = values.map((v, k) => (v === null || percent[k] === 0 ? null : v / percent[k]));
      if (c.transform === 'negative-Y') values = values.map((v) => (v === null ? null : -v));
      const style = c.lineStyle?.fill;
      return {
        label: name,
        color,
        values,
        width: c.lineWidth ?? 1,
        fill: Math.min(1, ((c.fillOpacity ?? 0) / 100) * (c.gradientMode && c.gradientMode !== 'none' ? 0.6 : 1)),
        dash: style === 'dash' || style === 'dot' ? (c.lineStyle.dash ?? (style === 'dot' ? [0, 6] : [10, 10])) : undefined,
        shape: c.drawStyle === 'bars' ? 'bars' : c.drawStyle === 'points' ? 'points' : c.lineInterpolation === 'smooth' ? 'smooth' : c.lineInterpolation === 'stepAfter' ? 'after' : c.lineInterpolation === 'stepBefore' ? 'before' : 'line',
        points: c.showPoints === 'always' || c.drawStyle === 'points' ? (c.pointSize ?? 5) : 0,
        right: c.axisPlacement === 'right',
        stack: c.stacking && c.stacking.mode !== 'none' && c.stacking.mode !== undefined ? (c.stacking.group ?? 'A') : undefined,
        spanNulls: c.spanNulls === true || typeof c.spanNulls === 'number',
        hidden: c.hideFrom?.viz === true,
      };
    });
    const axisOf = (config: Config | undefined, percent: boolean) => ({
      format: (v: number) => display({ unit: percent ? 'percentunit' : config?.unit, decimals: config?.decimals }, v).text,
      min: percent ? 0 : config?.min,
      max: percent ? 1 : config?.max,
      softMin: config?.custom?.axisSoftMin,
      softMax: config?.custom?.axisSoftMax,
      log: config?.custom?.scaleDistribution?.type === 'log' ? (config.custom.scaleDistribution.log ?? 10) : undefined,
      label: config?.custom?.axisLabel || undefined,
      hidden: config?.custom?.axisPlacement === 'hidden',
    });
    const leftConfig = list.find(({ config }) => config.custom?.axisPlacement !== 'right')?.config ?? panel.defaults;
    const rightConfig = list.find(({ config }) => config.custom?.axisPlacement === 'right')?.config;
    const lines = /line|dashed/.test(panel.defaults.custom?.thresholdsStyle?.mode ?? '') ? (panel.defaults.thresholds?.steps ?? []).filter((s: { value: unknown }) => typeof s.value === 'number').map((s: { value: number; color: string }) => ({ value: s.value, color: colorOf(s.color) })) : [];
    return { list, series, left: axisOf(leftConfig, percentOf.size > 0), right: rightConfig ? axisOf(rightConfig, false) : undefined, lines };
  }, [answer, theme]);
  const drawn = useMemo(() => built.series.map((s, i) => (hidden.value.has(String(i)) ? { ...s, hidden: true } : s)), [built, hidden.value]);
  const options = panel.options.legend ?? {};
  const shown = options.showLegend !== false && options.displayMode !== 'hidden';
  const calcs: string[] = options.calcs ?? [];
  const asTable = options.displayMode === 'table' && calcs.length > 0;
  const pick = (i: number, e: MouseEvent): void => {
    const next = new Set(hidden.value);
    const key = String(i);
    if (e.ctrlKey || e.metaKey) {
      if (!next.delete(key)) next.add(key);
    } else {
      const alone = !next.has(key) && next.size === drawn.length - 1;
      next.clear();
      if (!alone) drawn.forEach((_, k) => k !== i && next.add(String(k)));
    }
    hidden.value = next;
  };
  return (
    <div class={`ts ${options.placement === 'right' ? 'beside' : ''}`}>
      <div class="ts-chart">
        <Chart times={answer.times} series={drawn} from={answer.from} to={answer.to} height="fill" left={built.left} right={built.right} lines={built.lines} utc={context.utc} dark={theme} title={title} sync={`board-${context.board.uid}`} focus={focus} tooltip={panel.options.tooltip?.mode === 'none' ? 'none' : panel.options.tooltip?.mode === 'single' ? 'single' : 'multi'} onZoom={context.onZoom} />
      </div>
      {shown && (
        <div class={asTable ? 'ts-legend table' : 'ts-legend'} tabIndex={0} aria-label="Series" role="group" onMouseLeave={() => (focus.value = null)}>
          {asTable && (
            <div class="leg head">
              <span class="grow" />
              {calcs.map((c) => (
                <b key={c}>{{ lastNotNull: 'Last', last: 'Last', mean: 'Mean', min: 'Min', max: 'Max', sum: 'Total' }[c] ?? c}</b>
              ))}
            </div>
          )}
          {built.list.slice(0, 300).map(({ one, config, name, color }, i) =>
            config.custom?.hideFrom?.legend ? null : (
              <button type="button" class="leg" key={i} aria-pressed={!drawn[i].hidden} onMouseEnter={() => (focus.value = i)} onClick={(e) => pick(i, e)}>
                <i class="swatch" style={{ background: color }} />
                <span class="clip">{name}</span>
                {calcs.map((c) => (
                  <b key={c}>{display(config, reduce(one.values, c)).text}</b>
                ))}
              </button>
            ),
          )}
        </div>
      )}
    </div>
  );
}

interface Single {
  name: string;
  shown: Shown;
  config: Config;
  one: One;
}

function singles(panel: Panel, answer: Answer): Single[] {
  const how = panel.options.reduceOptions?.calcs?.[0] ?? 'lastNotNull';
  const values = answer.series.map((one) => reduceKeepingNaN(one.values, how));
  const numbers = values.filter((v): v is number => v !== null && Number.isFinite(v));
  const bounds: [number, number] = numbers.length > 0 ? [Math.min(...numbers), Math.max(...numbers)] : [0, 100];
  return answer.series.map((one, i) => {
    const config = configFor(panel, { name: one.name, refId: one.refId, type: 'number' });
    return { name: config.displayName ?? one.name, config, one, shown: display(config, values[i], panel.type === 'stat' ? bounds : [config.min ?? 0, config.max ?? 100], autoColor(one, i, answer.series.length)) };
  });
}

function reduceKeepingNaN(values: (number | null)[], how: string): number | null {
  const got = reduce(values, how);
  return got === null && values.length > 0 && values.every((v) => v !== null && Number.isNaN(v)) ? NaN : got;
}

function Spark({ values, color }: { values: (number | null)[]; color: string }) {
  const list = values.map((v, i) => [i, v] as const).filter((p): p is readonly [number, number] => p[1] !== null && Number.isFinite(p[1]));
  if (list.length < 2) return null;
  const lo = Math.min(...list.map(([, v]) => v));
  const hi = Math.max(...list.map(([, v]) => v));
  const x = (i: number): string => ((100 * i) / Math.max(1, values.length - 1)).toFixed(2);
  const y = (v: number): string => (hi === lo ? 20 : 38 - (36 * (v - lo)) / (hi - lo)).toFixed(2);
  const line = list.map(([i, v], k) => `${k === 0 ? 'M' : 'L'}${x(i)} ${y(v)}`).join('');
  return (
    <svg class="spark" viewBox="0 0 100 40" preserveAspectRatio="none" aria-hidden="true">
      <path d={`${line}L${x(list[list.length - 1][0])} 40L${x(list[0][0])} 40Z`} fill={color} opacity=".16" />
      <path d={line} fill="none" stroke={color} stroke-width="1.5" vector-effect="non-scaling-stroke" />
    </svg>
  );
}

function Stat({ panel, answer }: { panel: Panel; answer: Answer }) {
  const list = singles(panel, answer);
  const mode = panel.options.textMode ?? 'auto';
  const [before, after] = panel.options.around ?? ['', ''];
  return (
    <div class="stats-grid" style={{ '--n': String(Math.ceil(Math.sqrt(list.length))) } as never}>
      {list.slice(0, 200).map(({ name, shown, one }, i) => {
        const background = panel.options.colorMode === 'background' || panel.options.colorMode === 'background_solid';
        const color = panel.options.colorMode === 'none' || shown.color === '#808080' ? 'var(--ink)' : shown.color;
        return (
          <div class={background ? 'stat filled' : 'stat'} key={i} style={background ? { background: shown.color } : undefined}>
            {panel.options.graphMode !== 'none' && <Spark values={one.values} color={background ? '#000' : shown.color === '#808080' ? 'var(--accent)' : shown.color} />}
            {(mode === 'value_and_name' || (mode === 'auto' && list.length > 1)) && <span class="clip stat-name">{name}</span>}
            <b data-panel-value style={background ? undefined : { color }}>
              {mode === 'name' ? name : mode === 'none' ? '' : `${before}${shown.text}${after}`}
            </b>
          </div>
        );
      })}
    </div>
  );
}

function GaugeView({ panel, answer }: { panel: Panel; answer: Answer }) {
  return (
    <div class="stats-grid" style={{ '--n': String(Math.ceil(Math.sqrt(answer.series.length))) } as never}>
      {singles(panel, answer).slice(0, 100).map(({ name, shown }, i) => {
        const part = Math.min(1, Math.max(0, shown.percent));
        const arc = (t: number): string => {
          const a = Math.PI * (1.15 - 1.3 * t) ;
          return `${(50 + 40 * Math.cos(a)).toFixed(2)} ${(50 - 40 * Math.sin(a)).toFixed(2)}`;
        };
        return (
          <div class="gauge-cell" key={i}>
            <svg viewBox="0 0 100 74" role="img" aria-label={`${name}: ${shown.text}`}>
              <path d={`M${arc(0)}A40 40 0 1 1 ${arc(1)}`} fill="none" stroke="var(--raise)" stroke-width="11" />
              {part > 0 && <path d={`M${arc(0)}A40 40 0 ${part * 1.3 > 1 ? 1 : 0} 1 ${arc(part)}`} fill="none" stroke={shown.color} stroke-width="11" />}
              <text x="50" y="55" text-anchor="middle" class="gauge-text" data-panel-value fill={shown.color === '#808080' ? 'var(--ink)' : shown.color}>
                {shown.text}
              </text>
            </svg>
            {answer.series.length > 1 && <span class="clip">{name}</span>}
          </div>
        );
      })}
    </div>
  );
}

function BarGauge({ panel, answer }: { panel: Panel; answer: Answer }) {
  return (
    <div class="bar-gauge">
      {singles(panel, answer).slice(0, 300).map(({ name, shown }, i) => (
        <div class="bar-row" key={i}>
          <span class="clip">{name}</span>
          <span class="bar-track">
            <i style={{ width: `${100 * Math.min(1, Math.max(0.004, shown.percent))}%`, background: shown.color }} />
          </span>
          <b data-panel-value>{shown.text}</b>
        </div>
      ))}
    </div>
  );
}

function TableView({ panel, answer }: { panel: Panel; answer: Answer }) {
  const [sort, setSort] = useState<{ name: string; desc: boolean } | null>(() => {
    const s = panel.options.sortBy?.[0];
    return s ? { name: s.displayName, desc: s.desc === true } : null;
  });
  const frame = answer.frames[0] ?? [];
  const columns = frame
    .map((c) => ({ c, config: configFor(panel, c) }))
    .filter(({ config }) => config.custom?.hidden !== true && config.custom?.hideFrom?.viz !== true)
    .map(({ c, config }) => ({ c, config: c.type === 'time' ? { unit: 'dateTimeAsIso', ...config } : config, title: (config.displayName as string) ?? c.name }));
  const count = frame[0]?.values.length ?? 0;
  const order = Array.from({ length: count }, (_, i) => i);
  const by = sort && columns.find((c) => c.title === sort.name);
  if (by) order.sort((a, b) => (sort.desc ? -1 : 1) * (typeof by.c.values[a] === 'number' ? Number(by.c.values[a]) - Number(by.c.values[b]) : String(by.c.values[a]).localeCompare(String(by.c.values[b]))));
  return (
    <div class="panel-table" tabIndex={0}>
      <table>
        {panel.options.showHeader !== false && (
          <thead>
            <tr>
              {columns.map(({ c, title }) => (
                <th key={title} scope="col" class={c.type === 'number' ? 'num' : ''} onClick={() => setSort({ name: title, desc: sort?.name === title ? !sort.desc : true })}>
                  {title}
                </th>
              ))}
            </tr>
          </thead>
        )}
        <tbody>
          {order.slice(0, 1000).map((i) => (
            <tr key={i}>
              {columns.map(({ c, config, title }) => {
                const shown = display(config, c.values[i]);
                const kind = config.custom?.cellOptions?.type ?? config.custom?.displayMode;
                return (
                  <td key={title} class={c.type === 'number' ? 'num' : ''} style={kind === 'color-background' ? { background: shown.color } : kind === 'color-text' ? { color: shown.color } : undefined}>
                    {shown.text}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

// A subset of Markdown: headings, lists, links, code, bold. HTML tags are dropped, never run.
function Text({ source }: { source: string }) {
  const clean = source.replace(/<(script|style)[\s\S]*?<\/\1>/gi, '').replace(/<[^>]*>/g, '');
  const inline = (t: string) =>
    t.split(/(\[[^\]]*\]\([^)\s]*\)|`[^`]*`|\*\*[^*]+\*\*)/).map((p, i) => {
      const link = /^\[([^\]]*)\]\(([^)\s]*)\)$/.exec(p);
      if (link) return /^(https?:\/\/|\/(?!\/)|#)/.test(link[2]) ? <a key={i} href={link[2]} rel="noreferrer" target={link[2].startsWith('/') ? undefined : '_blank'}>{link[1]}</a> : link[1];
      if (p.startsWith('`') && p.length > 1) return <code key={i}>{p.slice(1, -1)}</code>;
      if (p.startsWith('**') && p.length > 4) return <b key={i}>{p.slice(2, -2)}</b>;
      return p;
    });
  return (
    <div class="panel-text" tabIndex={0}>
      {clean.split('\n').map((line, i) => {
        const head = /^(#{1,4})\s+(.*)$/.exec(line);
        if (head) return <h3 key={i}>{inline(head[2])}</h3>;
        const item = /^\s*[-*]\s+(.*)$/.exec(line);
        if (item) return <div key={i} class="item">• {inline(item[1])}</div>;
        return line.trim() === '' ? null : <p key={i}>{inline(line)}</p>;
      })}
    </div>
  );
}

const SERIES = new Set(['timeseries', 'heatmap', 'histogram', 'state-timeline', 'status-history', 'barchart', 'trend']);
const QUIET = new Set(['text', 'row', 'dashlist', 'alertlist', 'news', 'logs', 'annolist', 'welcome', 'gettingstarted']);
const KNOWN = new Set([...SERIES, ...QUIET, 'stat', 'gauge', 'bargauge', 'table', 'piechart']);

export function PanelView({ panel, context, local, repeat }: { panel: Panel; context: Context; local: Record<string, string>; repeat?: string }) {
  const host = useRef<HTMLElement>(null);
  const [seen, setSeen] = useState(false);
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [error, setError] = useState<string | null>(null);
  const asks = !QUIET.has(panel.type) && KNOWN.has(panel.type);
  useEffect(() => {
    const watch = new IntersectionObserver((entries) => setSeen(entries.some((e) => e.isIntersecting)), { rootMargin: '200px' });
    watch.observe(host.current!);
    return () => watch.disconnect();
  }, []);
  const times: Times = { from: context.from, to: context.to, step: 1, interval: context.scrapeInterval };
  const scopeKey = useMemo(() => {
    const used = JSON.stringify([panel.targets, panel.interval]);
    return JSON.stringify(Object.entries(context.scope).filter(([name]) => new RegExp(`\\$\\{?${name}\\b|\\[\\[${name}`).test(used)).map(([n, c]) => [n, c.values, c.values[0] === '$__all' ? c.options : 0]));
  }, [context.scope, panel]);
  const done = useRef('');
  useEffect(() => {
    const key = [scopeKey, context.from, context.to, context.turn, recovered.value, JSON.stringify(local)].join('|');
    if (!seen || !asks || done.current === key) return;
    const abort = new AbortController();
    ask(panel, context, host.current?.clientWidth ?? 600, local, abort.signal).then(
      (a) => {
        if (abort.signal.aborted) return;
        done.current = key;
        setAnswer(a);
        setError(null);
      },
      (e) => {
        if (abort.signal.aborted) return;
        done.current = key;
        setError(e.message);
      },
    );
    return () => abort.abort();
  }, [seen, scopeKey, context.from, context.to, context.turn, recovered.value]);

  const title = fill(panel.title, context.board, context.scope, times, 'text', local);
  const empty = answer !== null && answer.series.length === 0 && (answer.frames[0]?.[0]?.values.length ?? 0) === 0;
  const noValue = empty && panel.type === 'stat' && panel.defaults.noValue !== undefined;
  const state = !KNOWN.has(panel.type) ? 'error' : !asks ? 'ok' : error !== null ? 'error' : answer === null ? (panel.targets.every((t) => t.hide || t.expr === '') && seen ? 'nodata' : 'loading') : empty && !noValue ? 'nodata' : 'ok';
  const color = answer && state === 'ok' && (panel.type === 'stat' || panel.type === 'gauge') && answer.series.length > 0 ? singles(panel, answer)[0].shown.color : undefined;
  const exprs = panel.targets.filter((t) => t.expr !== '' && !t.hide).map((t) => fill(t.expr, context.board, context.scope, { ...times, step: 15 }, 'query', local));
  return (
    <article ref={host} class={panel.transparent ? 'panel transparent' : 'panel'} data-panel-id={panel.id} data-panel-type={panel.type} data-panel-state={state} data-panel-color={color} data-panel-repeat={repeat} aria-busy={state === 'loading' && seen}>
      <header>
        <h3 class="clip" title={panel.description || title}>
          {title}
        </h3>
        {answer && (answer.failed.length > 0 || answer.notes.length > 0) && (
          <span class="panel-flag" title={[...answer.failed, ...answer.notes].join('\n')}>
            <Icon name="warn" size={13} />
          </span>
        )}
        {exprs.length > 0 && (
          <Menu button={<Icon name="down" size={13} />} label={`More of ${title || 'this panel'}`}>
            {() => <a href={href('/query?' + exprs.map((e, i) => `g${i}.expr=${encodeURIComponent(e)}&g${i}.tab=graph`).join('&'))}>Open in Explore</a>}
          </Menu>
        )}
      </header>
      <div class="panel-body">
        {state === 'error' && (
          <div class="panel-message bad" role="alert">
            {KNOWN.has(panel.type) ? error : `No such panel here: “${panel.type}”.`}
          </div>
        )}
        {state === 'nodata' && <div class="panel-message">No data</div>}
        {panel.type === 'text' && <Text source={fill(panel.options.content ?? panel.source.content ?? '', context.board, context.scope, times, 'text', local)} />}
        {QUIET.has(panel.type) && panel.type !== 'text' && <div class="panel-message">{panel.type === 'logs' ? 'Logs are not kept here.' : `“${panel.type}” has its own page.`}</div>}
        {noValue && (
          <div class="stats-grid">
            <div class="stat">
              <b data-panel-value>{panel.defaults.noValue}</b>
            </div>
          </div>
        )}
        {state === 'ok' && answer && !empty && (
          <>
            {SERIES.has(panel.type) && <TimeSeries panel={panel} answer={answer} context={context} title={title} />}
            {panel.type === 'stat' && <Stat panel={panel} answer={answer} />}
            {panel.type === 'gauge' && <GaugeView panel={panel} answer={answer} />}
            {(panel.type === 'bargauge' || panel.type === 'piechart') && <BarGauge panel={panel} answer={answer} />}
            {panel.type === 'table' && <TableView panel={panel} answer={answer} />}
          </>
        )}
      </div>
    </article>
  );
}
