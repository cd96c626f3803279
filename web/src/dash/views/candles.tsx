// Candlesticks: four series are the first, the highest, the lowest and the last value of each stretch of time.
import { useMemo } from 'preact/hooks';
import { stamp } from '../../format/time';
import type { Answer, Context, One } from '../ask';
import { colorOf } from '../colors';
import { display } from '../field';
import type { Json, Panel } from '../model';
import { Plot, scaleOf } from './plot';
import { TimeSeries } from './timeseries';

const PARTS = ['open', 'high', 'low', 'close'] as const;
type Part = (typeof PARTS)[number] | 'volume';

// By what the file says, else by their names: "open", or "o" where nothing has the whole word.
export function partsOf(panel: Panel, series: One[]): Partial<Record<Part, One>> {
  const said: Json = panel.options.fields ?? {};
  const out: Partial<Record<Part, One>> = {};
  for (const part of [...PARTS, 'volume'] as const) {
    const named = (names: string[]): One | undefined => series.find((s) => names.includes(s.name.toLowerCase()) || names.includes(s.field.name.toLowerCase()));
    out[part] = (typeof said[part] === 'string' && said[part] !== '' ? series.find((s) => s.name === said[part] || s.field.name === said[part]) : undefined) ?? named([part]) ?? named([part[0]]);
  }
  return out;
}

export function Candles(props: { panel: Panel; answer: Answer; context: Context; title: string }) {
  const { panel, answer, context, title } = props;
  const parts = useMemo(() => partsOf(panel, answer.series), [answer]);
  const { open, close } = parts;
  // Grafana draws lines where it finds no candles.
  if (!open || !close) return <TimeSeries {...props} />;
  const high = parts.high ?? open;
  const low = parts.low ?? open;
  const mode = String(panel.options.mode ?? 'candles');
  const colors = { up: colorOf(panel.options.colors?.up, '#73BF69'), down: colorOf(panel.options.colors?.down, '#F2495C'), flat: colorOf(panel.options.colors?.flat, '#808080') };
  const before = panel.options.colorStrategy === 'close-close';
  const bars = answer.times.flatMap((t, i) => {
    const [o, c] = [open.values[i], close.values[i]];
    if (o === null || c === null || o === undefined || c === undefined) return [];
    const last = before ? (close.values.slice(0, i).filter((v) => v !== null).pop() ?? o) : o;
    return [{ t, o, c, h: Math.max(o, c, high.values[i] ?? o), l: Math.min(o, c, low.values[i] ?? o), v: parts.volume?.values[i] ?? null, color: c > last ? colors.up : c < last ? colors.down : colors.flat }];
  });
  if (bars.length === 0) return <div class="panel-message">No data</div>;
  const { config } = open;
  const y = scaleOf(bars.flatMap((b) => [b.h, b.l]), config.min, config.max);
  const x = { lo: answer.from, hi: answer.to };
  const text = (v: number): string => display({ unit: config.unit, decimals: config.decimals }, v).text;
  const count = Math.max(2, Math.min(5, bars.length));
  const ticks = Array.from({ length: count }, (_, k) => x.lo + ((x.hi - x.lo) * k) / count);
  const most = Math.max(1e-300, ...bars.map((b) => b.v ?? 0));
  const half = 0.35 * Math.min(40, 1000 / Math.max(1, (x.hi - x.lo) / answer.step));
  return (
    <Plot label={`${title}: ${bars.length} candles`} x={x} y={y} xTicks={ticks} xText={(t) => stamp(t, context.utc).slice(x.hi - x.lo > 2 * 86_400 ? 5 : 11, 16)} yText={text}>
      {(at) => bars.map((b) => {
        const middle = at.x(b.t);
        const [top, bottom] = [at.y(Math.max(b.o, b.c)), at.y(Math.min(b.o, b.c))];
        return (
          <g key={b.t} fill={b.color} stroke={b.color}>
            <title>{`${stamp(b.t, context.utc)}: open ${text(b.o)}, high ${text(b.h)}, low ${text(b.l)}, close ${text(b.c)}`}</title>
            {mode !== 'candles' && b.v !== null && <rect x={middle - half} width={2 * half} y={at.height * (1 - 0.25 * (b.v / most))} height={at.height * 0.25 * (b.v / most)} opacity=".35" stroke="none" />}
            {mode !== 'volume' && <path d={`M${middle} ${at.y(b.h)}V${at.y(b.l)}`} vector-effect="non-scaling-stroke" />}
            {mode !== 'volume' && (panel.options.candleStyle === 'ohlcbars' ? <path d={`M${middle - half} ${at.y(b.o)}H${middle}M${middle} ${at.y(b.c)}H${middle + half}`} vector-effect="non-scaling-stroke" /> : <rect x={middle - half} width={2 * half} y={top} height={Math.max(1, bottom - top)} stroke="none" />)}
          </g>
        );
      })}
    </Plot>
  );
}
