import { useEffect, useMemo, useState } from 'preact/hooks';
import { ApiError, query, type MatrixSeries, type QueryData } from '../api/client';
import { dark, settings } from '../app/settings';
import { cellsOf, Heatmap } from '../chart/heatmap';
import { blend, heatScheme } from '../dash/colors';
import { seriesKey, seriesName } from '../format/labels';
import { parseDuration, stamp } from '../format/time';
import { exact, short } from '../format/value';
import { Failure, Skeleton, Virtual } from '../ui/parts';
import type { Seen } from './panel';
import type { PanelState } from './state';


// Native histograms over time: buckets up, colour by how many observations fell into them.
export function HistogramGraph({ seen, state, update }: { seen: Seen; state: PanelState; update: (part: Partial<PanelState>, push?: boolean) => void }) {
  const built = useMemo(() => {
    const list = (seen.data.resultType === 'matrix' ? seen.data.result : []) as MatrixSeries[];
    const count = Math.max(1, Math.floor((seen.end - seen.start) / seen.step + 1e-6) + 1);
    const times = Array.from({ length: count }, (_, i) => Math.round((seen.start + i * seen.step) * 1000) / 1000);
    return { times, ...cellsOf(list, times), series: list.length };
  }, [seen]);
  const paint = useMemo(() => (t: number) => blend(heatScheme('turbo'), 0.08 + 0.92 * t), []);
  return (
    <div class="explore-heat">
      <Heatmap times={built.times} step={seen.step} rows={built.rows} cells={built.cells} from={seen.start} to={seen.end} utc={settings.value.timezone === 'utc'} dark={dark.value} title={state.expr} paint={paint} format={(v) => short(v)} count={(v) => exact(Number(v.toPrecision(6)))} onZoom={(a, b) => update({ end: Math.round(b), range: Math.max(1, Math.round(b - a)), step: null }, true)} />
      {built.series > 1 && <p class="faint pad">{built.series} series are added up; give a matcher to see one.</p>}
    </div>
  );
}

const RANGES = ['1m', '5m', '15m', '1h'];

interface RawRow {
  series: string;
  time: number;
  value: string;
  gap: number | null;
}

// The samples as they are stored, newest first: no step, no lookback.
export function RawSamples({ expr }: { expr: string }) {
  const [range, setRange] = useState('5m');
  const [rows, setRows] = useState<RawRow[] | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    setRows(null);
    setError(null);
    query(`${expr}[${range}]`, Date.now() / 1000, abort.signal).then(
      (a) => setRows(rowsOf(a.data)),
      (e) => !abort.signal.aborted && setError(e instanceof ApiError ? e : new ApiError(String(e), 0)),
    );
    return () => abort.abort();
  }, [expr, range, turn]);
  const utc = settings.value.timezone === 'utc';
  return (
    <>
      <div class="controls">
        <span class="segments" role="group" aria-label="How far back">
          {RANGES.map((r) => (
            <button type="button" key={r} aria-pressed={r === range} onClick={() => setRange(r)}>
              {r}
            </button>
          ))}
        </span>
        <input aria-label="Range of raw samples" size={6} value={range} onChange={(e) => parseDuration(e.currentTarget.value) && setRange(e.currentTarget.value)} />
        {rows && <span class="faint">{rows.length} samples</span>}
      </div>
      {error && <Failure error={error} again={() => setTurn((n) => n + 1)} />}
      {error?.type === 'bad_data' && <p class="dim pad">Raw samples are those of a selector, such as <code>up{'{job="node"}'}</code>.</p>}
      {rows === null && !error && <Skeleton rows={6} />}
      {rows && (
        <div data-raw-samples={rows.length}>
          <div class="raw-row head" aria-hidden="true">
            <span>Time</span>
            <span>After</span>
            <span>Series</span>
            <span class="num">Value</span>
          </div>
          <Virtual count={rows.length} rowHeight={24} height={480}>
            {(i) => (
              <div class="raw-row" key={i} data-raw>
                <span class="mono nowrap">
                  {stamp(rows[i].time, utc)}
                  <span class="faint">.{String(Math.round((rows[i].time % 1) * 1000)).padStart(3, '0')}</span>
                </span>
                <span class="faint">{rows[i].gap === null ? '' : `${rows[i].gap!.toFixed(3)} s`}</span>
                <span class="mono clip" title={rows[i].series}>{rows[i].series}</span>
                <span class="num mono">{rows[i].value}</span>
              </div>
            )}
          </Virtual>
        </div>
      )}
    </>
  );
}

function rowsOf(data: QueryData): RawRow[] {
  if (data.resultType !== 'matrix') return [];
  const out: RawRow[] = [];
  for (const s of [...data.result].sort((a, b) => (seriesKey(a.metric) < seriesKey(b.metric) ? -1 : 1))) {
    const series = seriesName(s.metric);
    const list: [number, string][] = [...(s.values ?? []).map(([t, v]): [number, string] => [t, v]), ...(s.histograms ?? []).map(([t, h]): [number, string] => [t, `count ${h.count}, sum ${h.sum}`])].sort((a, b) => b[0] - a[0]);
    list.forEach(([time, value], i) => out.push({ series, time, value, gap: i + 1 < list.length ? time - list[i + 1][0] : null }));
  }
  return out;
}

