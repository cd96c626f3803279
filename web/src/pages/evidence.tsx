import { useState } from 'preact/hooks';
import { queryRange, type MatrixSeries } from '../api/client';
import { dark, settings } from '../app/settings';
import { align } from '../chart/align';
import { Chart, type ChartMark } from '../chart/chart';
import { assign } from '../chart/color';
import { quote } from '../format/labels';
import { duration, niceStep } from '../format/time';
import { short } from '../format/value';
import { Failure, Segments, useLoad } from '../ui/parts';
import { measured } from './measured';
import type { Rule } from './rules_data';

// What a rule measured over the last hours, with its limit, and when it fired: behind the lines.
const SHORT = [{ format: (v: number) => short(v) }];
const RANGES: [string, string][] = [['3600', '1h'], ['21600', '6h'], ['86400', '1d'], ['604800', '7d']];
const DRAWN = 40;

const matrix = (data: { resultType: string; result: unknown }): MatrixSeries[] => (data.resultType === 'matrix' ? (data.result as MatrixSeries[]) : []);
const text = (m: Record<string, string>): string => Object.entries(m).filter(([k]) => k !== '__name__').map(([k, v]) => `${k}=${quote(v)}`).join(', ');

// Stretches in which a series was there.
function spans(series: MatrixSeries[], step: number): ChartMark[] {
  const tone = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const out: ChartMark[] = [];
  for (const s of series) {
    let from: number | null = null;
    let last = 0;
    const end = (): void => {
      if (from !== null) out.push({ from, to: last + step, color: tone(s.metric.alertstate === 'firing' ? '--bad' : '--warn'), title: s.metric.alertstate, text: text(s.metric) });
      from = null;
    };
    for (const [t] of s.values ?? []) {
      if (from !== null && t - last > 1.5 * step) end();
      from ??= t;
      last = t;
    }
    end();
  }
  return out.slice(0, 200);
}

export function Evidence({ rule }: { rule: Rule }) {
  const [range, setRange] = useState('3600');
  const what = measured(rule.query);
  const seconds = Number(range);
  const step = niceStep(seconds / 240);
  const load = useLoad(
    async (signal) => {
      const end = Math.floor(Date.now() / 1000 / step) * step;
      const start = end - seconds;
      const [lines, states] = await Promise.all([
        queryRange(what.expr, start, end, step, signal),
        queryRange(`ALERTS{alertname=${quote(rule.name)}}`, start, end, step, signal).catch(() => null),
      ]);
      const series = matrix(lines.data);
      return { start, end, series, drawn: align(series.slice(0, DRAWN), start, end, step), marks: states ? spans(matrix(states.data).slice(0, 20), step) : [] };
    },
    [range, rule.query],
    60,
  );
  const d = load.data;
  const colors = d ? assign(d.series.slice(0, DRAWN).map((s) => text(s.metric)), dark.value) : [];
  const bad = dark.value ? 'oklch(0.72 0.17 25)' : 'oklch(0.52 0.19 25)';
  return (
    <div class="evidence" data-evidence={d ? d.series.length : ''}>
      <div class="line">
        <span class="mono clip grow dim" title={what.expr}>{what.expr}</span>
        {what.limit !== null && <span class="faint nowrap">limit {short(what.limit)}</span>}
        <Segments label="Range of the evidence" value={range} options={RANGES} onPick={setRange} />
      </div>
      {load.state === 'error' ? (
        <Failure error={load.error} again={load.again} />
      ) : !d ? (
        <div class="evidence-wait" aria-busy="true" />
      ) : d.series.length === 0 ? (
        <div class="evidence-wait dim">Nothing was measured in the last {duration(seconds)}.</div>
      ) : (
        <>
          <Chart
            times={d.drawn.times}
            series={d.drawn.columns.map((values, i) => ({ label: text(d.series[i].metric) || what.expr, color: colors[i], values, width: 1.5, fill: d.series.length === 1 ? 0.08 : 0 }))}
            from={d.start}
            to={d.end}
            height={150}
            axes={SHORT}
            utc={settings.value.timezone === 'utc'}
            title={`${rule.name}: ${what.expr}`}
            dark={dark.value}
            lines={what.limit === null ? [] : [{ value: what.limit, color: bad }]}
            marks={d.marks}
          />
          {d.series.length > DRAWN && <span class="faint">+{d.series.length - DRAWN} more series</span>}
        </>
      )}
    </div>
  );
}
