// A bar chart over categories: the first text (or time) column across, each number column a bar.
import { useMemo } from 'preact/hooks';
import type { Answer, Context } from '../ask';
import { configFor, display, reduce, titleOf } from '../field';
import { find, type Frame } from '../frames';
import type { Panel } from '../model';
import { join } from '../join';
import { autoColor } from './timeseries';
import { colorOf } from '../colors';

const MOST = 100;

export function BarChart({ panel, answer, context, title }: { panel: Panel; answer: Answer; context: Context; title: string }) {
  const built = useMemo(() => {
    const joined: Frame[] = answer.frames.length > 1 ? join({}, answer.frames) : answer.frames;
    const frame = joined[0] ?? answer.frames[0];
    if (!frame) return null;
    const x = (panel.options.xField ? find(frame, String(panel.options.xField), joined) : undefined) ?? frame.fields.find((f) => f.type === 'string') ?? frame.fields.find((f) => f.type === 'time');
    const bars = frame.fields.filter((f) => f.type === 'number' && f !== x).map((f) => ({ f, config: configFor(panel, f, frame, joined) })).filter(({ config }) => config.custom?.hideFrom?.viz !== true);
    const count = Math.min(MOST, bars[0]?.f.values.length ?? 0);
    return { frame, joined, x, bars, count, offset: Math.max(0, (bars[0]?.f.values.length ?? 0) - count) };
  }, [answer]);
  if (!built || built.count === 0) return <div class="panel-message">No data</div>;
  const { frame, joined, x, bars, count, offset } = built;
  const at = Array.from({ length: count }, (_, i) => i + (x?.type === 'time' ? offset : 0));
  const stacked = (panel.options.stacking ?? 'none') !== 'none';
  const value = (k: number, i: number): number => Number(bars[k].f.values[i] ?? 0) || 0;
  const most = Math.max(1e-12, ...at.map((i) => (stacked ? bars.reduce((s, _, k) => s + Math.max(0, value(k, i)), 0) : (reduce(bars.map((_, k) => value(k, i)), 'max') ?? 0))));
  const label = (i: number): string => (x ? display(x.type === 'time' ? { unit: 'time:MM-DD HH:mm' } : {}, x.values[i], [0, 100], undefined, context.utc).text : String(i + 1));
  const color = (k: number): string => (bars[k].config.color?.mode === 'fixed' ? colorOf(bars[k].config.color.fixedColor) : autoColor(titleOf(bars[k].f, frame, joined, bars[k].config), k, bars.length));
  return (
    <div class="bar-columns" role="img" aria-label={`${title}: ${count} groups of ${bars.length} bars`}>
      {at.map((i) => (
        <div class="bar-column" key={i}>
          <span class={stacked ? 'bar-group stacked' : 'bar-group'}>
            {bars.map((b, k) => <i key={k} style={{ height: `${(100 * Math.max(0, value(k, i))) / most}%`, background: color(k) }} title={`${titleOf(b.f, frame, joined, b.config)}: ${display(b.config, b.f.values[i]).text}`} />)}
          </span>
          <span class="clip" title={label(i)}>{label(i)}</span>
        </div>
      ))}
    </div>
  );
}
