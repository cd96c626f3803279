// Distributions: a heatmap over time, and a histogram over all of it.
import { useMemo } from 'preact/hooks';
import { dark } from '../../app/settings';
import { cellsOf, Heatmap, type HeatRow } from '../../chart/heatmap';
import type { Answer, Context } from '../ask';
import { blend, colorOf, heatScheme } from '../colors';
import { display, reduce } from '../field';
import type { Panel } from '../model';
import { transform } from '../transform';
import { autoColor } from './timeseries';

interface Built {
  rows: HeatRow[];
  cells: (number | null)[][];
}

const bound = (text: string | undefined): number => (text === '+Inf' || text === 'Inf' ? Infinity : text === '-Inf' ? -Infinity : text === undefined || text.trim() === '' ? NaN : Number(text));

// Buckets by "le" are cumulative: a row is what its bucket adds to the one below. Series named by
// numbers are rows as they are. Anything else is counted into buckets of equal width.
function build(panel: Panel, answer: Answer): Built {
  if (answer.histograms.length > 0) return cellsOf(answer.histograms.map((h) => h.series), answer.times);
  const calculated = panel.options.calculate === true || panel.transformations.some((t) => t.id === 'heatmap' && !t.disabled);
  const edges = answer.series.map((s) => {
    const own = bound(s.name);
    return Number.isNaN(own) ? bound(s.metric.le) : own;
  });
  if (!calculated && answer.series.length > 1 && edges.filter((e) => !Number.isNaN(e)).length > answer.series.length / 2) {
    const order = edges.map((e, i) => ({ e, i })).filter(({ e }) => !Number.isNaN(e)).sort((a, b) => a.e - b.e);
    // Several series of one bucket are one row.
    const byEdge = new Map<number, (number | null)[]>();
    for (const { e, i } of order) {
      const values = answer.series[i].values;
      const sum = byEdge.get(e);
      byEdge.set(e, sum ? sum.map((v, k) => (v === null ? values[k] : v + (values[k] ?? 0))) : values.slice());
    }
    const keys = [...byEdge.keys()];
    // Of queries that ask for a heatmap each bucket has been cut to its own part already.
    const cut = new Set(panel.targets.filter((t) => t.format === 'heatmap').map((t) => t.refId));
    const cumulative = order.every(({ i }) => answer.series[i].metric.le !== undefined && !cut.has(answer.series[i].refId));
    const rows = keys.map((e, i): HeatRow => ({ lo: keys[i - 1] ?? (e > 0 ? 0 : e), hi: e, label: Number.isFinite(e) ? undefined : '+Inf' }));
    const cells = keys.map((e, i) => (cumulative && i > 0 ? byEdge.get(e)!.map((v, k) => (v === null ? null : Math.max(0, v - (byEdge.get(keys[i - 1])![k] ?? 0)))) : byEdge.get(e)!));
    return { rows, cells };
  }
  const flat = answer.series.flatMap((s) => s.values).filter((v): v is number => v !== null && Number.isFinite(v));
  if (flat.length === 0) return { rows: [], cells: [] };
  if (!calculated && answer.series.length > 1) return { rows: answer.series.map((s, i) => ({ lo: i, hi: i + 1, label: s.name })), cells: answer.series.map((s) => s.values) };
  const lo = flat.reduce((a, b) => Math.min(a, b));
  const hi = flat.reduce((a, b) => Math.max(a, b));
  const n = Math.min(60, Number(panel.options.calculation?.yBuckets?.value) || 12);
  const size = hi > lo ? (hi - lo) / n : 1;
  const rows = Array.from({ length: hi > lo ? n : 1 }, (_, i): HeatRow => ({ lo: lo + i * size, hi: lo + (i + 1) * size }));
  const cells = rows.map(() => new Array<number | null>(answer.times.length).fill(null));
  for (const s of answer.series) {
    s.values.forEach((v, k) => {
      if (v === null || !Number.isFinite(v)) return;
      const row = cells[Math.min(rows.length - 1, Math.floor((v - lo) / size))];
      row[k] = (row[k] ?? 0) + 1;
    });
  }
  return { rows, cells };
}

const finite = (v: unknown): number | undefined => (typeof v === 'number' && Number.isFinite(v) ? v : undefined);

export function HeatPanel({ panel, answer, context, title }: { panel: Panel; answer: Answer; context: Context; title: string }) {
  const built = useMemo(() => build(panel, answer), [answer]);
  const color = panel.options.color ?? {};
  const axis = panel.options.yAxis ?? {};
  const scheme = heatScheme(color.scheme);
  const paint = useMemo(() => {
    if (color.mode === 'opacity') return (t: number) => `color-mix(in oklab, ${colorOf(color.fill, '#b4ff00')} ${Math.round(100 * Math.max(0.06, t ** (Number(color.exponent) || 0.5)))}%, transparent)`;
    // Light means little on a light page and much on a dark one, unless the file turns it round.
    const light = /^(oranges|reds|greens|blues|purples|greys)$/i.test(String(color.scheme ?? ''));
    const turn = light ? dark.value !== (color.reverse === true) : color.reverse === true;
    return (t: number) => blend(scheme, turn ? 1 - t : t);
  }, [color.mode, color.scheme, dark.value]);
  const unit = axis.unit ?? panel.defaults.unit;
  return (
    <div class="heat-panel">
      <Heatmap times={answer.times} step={answer.step} rows={built.rows} cells={built.cells} from={answer.from} to={answer.to} utc={context.utc} dark={dark.value} title={title} paint={paint} format={(v) => display({ unit, decimals: axis.decimals }, v).text} count={(v) => display({ unit: panel.options.cellValues?.unit, decimals: panel.options.cellValues?.decimals }, v).text} least={finite(color.min)} largest={finite(color.max)} hideZero={panel.options.hideZero === true || panel.options.filterValues?.le > 0} reverse={axis.reverse === true} onZoom={context.onZoom} />
    </div>
  );
}

export function HistogramPanel({ panel, answer }: { panel: Panel; answer: Answer }) {
  const frame = useMemo(() => {
    const raw = answer.frames.some((f) => f.fields.some((x) => x.name === 'xMin')) ? answer.frames : transform(answer.frames, [{ id: 'histogram', options: { bucketSize: panel.options.bucketSize, bucketCount: panel.options.bucketCount, bucketOffset: panel.options.bucketOffset, combine: panel.options.combine } }]);
    return raw[0];
  }, [answer]);
  if (!frame) return <div class="panel-message">No numbers to count.</div>;
  const [lo, hi, ...counts] = frame.fields;
  const most = counts.reduce((m, f) => Math.max(m, reduce(f.values as number[], 'max') ?? 0), 0);
  const n = lo.values.length;
  // Empty buckets have no row: a bar stands where its values are.
  const [least, wide] = [Number(lo.values[0]), Math.max(1e-300, Number(hi.values[n - 1]) - Number(lo.values[0]))];
  const x = (i: number): number => (100 * (Number(lo.values[i]) - least)) / wide;
  const w = (i: number): number => (100 * (Number(hi.values[i]) - Number(lo.values[i]))) / wide;
  const unit = panel.defaults.unit;
  const text = (v: unknown): string => display({ unit, decimals: panel.defaults.decimals }, Number(v)).text;
  const ticks = [least, least + wide / 2];
  return (
    <div class="histogram" role="img" aria-label={`Histogram of ${counts.length} series in ${n} buckets from ${text(lo.values[0])} to ${text(hi.values[n - 1])}`}>
      <svg viewBox="0 0 100 100" preserveAspectRatio="none">
        {counts.slice(0, 12).map((f, s) =>
          f.values.map((v, i) => {
            const h = most > 0 ? (100 * Number(v)) / most : 0;
            return h > 0 ? <rect key={`${s}-${i}`} x={x(i) + w(i) / 20} y={100 - h} width={w(i) * 0.9} height={h} fill={autoColor(f.shown ?? f.name, s, counts.length)} opacity={counts.length > 1 ? 0.6 : 0.85}><title>{`${text(lo.values[i])} to ${text(hi.values[i])}: ${v}`}</title></rect> : null;
          }),
        )}
      </svg>
      <div class="histogram-axis">{ticks.map((v) => <span key={v}>{text(v)}</span>)}<span>{text(hi.values[n - 1])}</span></div>
    </div>
  );
}
