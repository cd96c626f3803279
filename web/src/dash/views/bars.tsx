// A bar chart over categories: the first text (or time) column across, each number column a bar.
import { useMemo } from 'preact/hooks';
import type { Answer, Context } from '../ask';
import { colorOf, inkOn } from '../colors';
import { configFor, display, reduce, thresholdColor, titleOf, type Config } from '../field';
import { find, type Field, type Frame } from '../frames';
import { join } from '../join';
import type { Panel } from '../model';
import { reducerName } from '../reduce';
import { autoColor } from './timeseries';

const MOST = 100;

interface Bar {
  field: Field;
  config: Config;
  title: string;
  color: string;
}

export function BarChart({ panel, answer, context, title }: { panel: Panel; answer: Answer; context: Context; title: string }) {
  const o = panel.options;
  const built = useMemo(() => {
    const joined: Frame[] = answer.frames.length > 1 ? join({}, answer.frames) : answer.frames;
    const frame = joined[0] ?? answer.frames[0];
    if (!frame) return null;
    const x = (o.xField ? find(frame, String(o.xField), joined) : undefined) ?? frame.fields.find((f) => f.type === 'string') ?? frame.fields.find((f) => f.type === 'time');
    const fields = frame.fields.filter((f) => f.type === 'number' && f !== x).map((field) => ({ field, config: configFor(panel, field, frame, joined) })).filter(({ config }) => config.custom?.hideFrom?.viz !== true);
    const bars = fields.map(({ field, config }, k): Bar => {
      const name = titleOf(field, frame, joined, config);
      return { field, config, title: name, color: config.color?.mode === 'fixed' ? colorOf(config.color.fixedColor) : autoColor(name, k, fields.length) };
    });
    const rows = bars[0]?.field.values.length ?? 0;
    const count = Math.min(MOST, rows);
    // Of times the last ones.
    const from = x?.type === 'time' ? rows - count : 0;
    const shade = o.colorByField ? find(frame, String(o.colorByField), joined) : undefined;
    return { x, xConfig: x ? configFor(panel, x, frame, joined) : {}, bars, at: Array.from({ length: count }, (_, i) => i + from), shade, shadeConfig: shade ? configFor(panel, shade, frame, joined) : {} };
  }, [answer]);
  if (!built || built.at.length === 0) return <div class="panel-message">No data</div>;
  const { x, xConfig, bars, at, shade, shadeConfig } = built;
  const stacking = String(o.stacking?.mode ?? o.stacking ?? bars[0].config.custom?.stacking?.mode ?? 'none');
  const stacked = stacking === 'normal' || stacking === 'percent';
  const value = (b: Bar, i: number): number => Number(b.field.values[i] ?? 0) || 0;
  const sum = (i: number): number => bars.reduce((s, b) => s + Math.max(0, value(b, i)), 0);
  const largest = at.reduce((m, i) => Math.max(m, stacked ? sum(i) : bars.reduce((n, b) => Math.max(n, value(b, i)), 0)), 0);
  const most = Math.max(1e-300, typeof bars[0].config.max === 'number' && !stacked ? bars[0].config.max : largest);
  const part = (b: Bar, i: number): string => `${Math.min(100, (100 * Math.max(0, value(b, i))) / (stacking === 'percent' ? sum(i) || 1 : most))}%`;
  const label = (i: number): string => (x ? display(x.type === 'time' ? { unit: 'time:MM-DD HH:mm' } : xConfig, x.values[i], [0, 100], undefined, context.utc).text : String(i + 1));
  const color = (b: Bar, i: number): string => {
    if (shade && shade.type === 'number') return thresholdColor(shadeConfig, Number(shade.values[i]), shadeConfig.min ?? 0, shadeConfig.max ?? 100);
    // A mapping or thresholds may say how each bar looks.
    const shown = display(b.config, b.field.values[i], [0, most], b.color);
    return b.config.color?.mode !== undefined && shown.color !== '#808080' ? shown.color : b.color;
  };
  const words = (b: Bar, i: number): string => (o.showValue === 'never' ? '' : display(b.config, b.field.values[i]).text);
  const across = o.orientation === 'horizontal';
  const legend = o.legend ?? {};
  const calcs: string[] = Array.isArray(legend.calcs) ? legend.calcs.map(String) : [];
  const group = (i: number) => (
    <span class={`bar-group${stacked ? ' stacked' : ''}`}>
      {bars.map((b, k) => {
        const text = words(b, i);
        const paint = color(b, i);
        return (
          <i key={k} style={across ? { width: part(b, i), background: paint } : { height: part(b, i), background: paint }} title={`${b.title}: ${display(b.config, b.field.values[i]).text}`}>
            {(o.showValue === 'always' || at.length * bars.length <= 30) && text !== '' && <b style={{ color: inkOn(paint) }}>{text}</b>}
          </i>
        );
      })}
    </span>
  );
  return (
    <div class="bar-chart">
      <div class={across ? 'bar-lines' : 'bar-columns'} role="img" aria-label={`${title}: ${at.length} groups of ${bars.length} bars`}>
        {at.map((i) => (
          <div class={across ? 'bar-line' : 'bar-column'} key={i}>
            {across && <span class="clip" title={label(i)}>{label(i)}</span>}
            {group(i)}
            {!across && <span class="clip" title={label(i)}>{label(i)}</span>}
          </div>
        ))}
      </div>
      {legend.showLegend !== false && legend.displayMode !== 'hidden' && (bars.length > 1 || calcs.length > 0 || legend.showLegend === true) && (
        <div class="ts-legend" role="group" aria-label="Series" tabIndex={0}>
          {bars.map((b, k) => (
            <span class="leg" key={k}>
              <i class="swatch" style={{ background: b.color }} />
              <span class="clip">{b.title}</span>
              {calcs.map((c) => <b key={c}>{`${reducerName(c)} ${display(b.config, reduce(b.field.values as (number | null)[], c)).text}`}</b>)}
            </span>
          ))}
        </div>
      )}
    </div>
  );
}
