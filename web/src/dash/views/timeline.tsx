// States over time: merged into stretches (state timeline) or point by point (status history).
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { dark } from '../../app/settings';
import { resolve } from '../../chart/chart';
import { duration, stamp } from '../../format/time';
import type { Answer, Context, One } from '../ask';
import { inkOn } from '../colors';
import { display, type Shown } from '../field';
import { type Cell } from '../frames';
import type { Panel } from '../model';
import { autoColor } from './timeseries';

interface Stretch {
  from: number;
  to: number;
  shown: Shown;
  color: string;
}
interface Lane {
  name: string;
  stretches: Stretch[];
}

function lanesOf(panel: Panel, answer: Answer, context: Context): Lane[] {
  const merged = panel.type === 'state-timeline' && panel.options.mergeValues !== false;
  const lanes: { name: string; config: One['config']; values: Cell[]; times: number[] }[] = answer.series.map((s) => ({ name: s.name, config: s.config, values: s.values, times: answer.times }));
  for (const frame of answer.frames) {
    const time = frame.fields.find((f) => f.type === 'time');
    if (time && panel.transformations.length > 0) for (const f of frame.fields) if (f.type === 'string') lanes.push({ name: f.shown ?? f.name, config: panel.defaults, values: f.values, times: time.values.map((t) => Number(t) / 1000) });
  }
  const states = new Map<string, number>();
  return lanes.slice(0, 200).map(({ name, config, values, times }) => {
    const stretches: Stretch[] = [];
    let last: Cell | undefined;
    values.forEach((v, i) => {
      const to = times[i + 1] ?? Math.min(times[i] + answer.step, answer.to);
      if (v === null || v === undefined) {
        last = undefined;
        return;
      }
      const shown = display(config, v, [0, 100], undefined, context.utc);
      if (!states.has(shown.text)) states.set(shown.text, states.size);
      const classic = (config.color?.mode ?? 'palette-classic').startsWith('palette') && shown.color === '#808080';
      const color = classic ? autoColor(shown.text, states.get(shown.text)!, 1) : shown.color;
      const before = stretches[stretches.length - 1];
      if (merged && before && last !== undefined && before.shown.text === shown.text && before.color === color) before.to = to;
      else stretches.push({ from: times[i], to, shown, color });
      last = v;
    });
    return { name, stretches };
  });
}

export function Timeline({ panel, answer, context, title }: { panel: Panel; answer: Answer; context: Context; title: string }) {
  const host = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const lanes = useMemo(() => lanesOf(panel, answer, context), [answer, dark.value]);
  const [size, setSize] = useState({ width: 0, height: 0 });
  const [tip, setTip] = useState<{ x: number; y: number; lane: string; at: Stretch } | null>(null);
  const left = panel.options.showValue === 'only' ? 0 : Math.min(160, Math.max(40, ...lanes.map((l) => l.name.length * 6.2)));
  const axis = 20;
  const laneHeight = Math.max(6, (size.height - axis) / Math.max(1, lanes.length));
  useEffect(() => {
    const watch = new ResizeObserver(() => host.current && setSize({ width: host.current.clientWidth, height: host.current.clientHeight }));
    watch.observe(host.current!);
    return () => watch.disconnect();
  }, []);
  const x = (t: number): number => left + ((size.width - left) * (Math.min(answer.to, Math.max(answer.from, t)) - answer.from)) / Math.max(1, answer.to - answer.from);
  useEffect(() => {
    const element = canvas.current;
    if (!element || size.width < 10) return;
    const dpr = devicePixelRatio;
    element.width = size.width * dpr;
    element.height = size.height * dpr;
    const ctx = element.getContext('2d')!;
    ctx.scale(dpr, dpr);
    ctx.textBaseline = 'middle';
    ctx.font = '11px Inter, system-ui, sans-serif';
    const gap = panel.type === 'status-history' ? 1 : 0;
    const part = Math.min(1, Math.max(0.2, Number(panel.options.rowHeight) || 0.9));
    const ink = resolve('var(--dim)');
    lanes.forEach((lane, i) => {
      const y = i * laneHeight;
      ctx.fillStyle = ink;
      if (left > 0) ctx.fillText(lane.name.length * 6.2 > left ? lane.name.slice(0, Math.floor(left / 6.4)) + '…' : lane.name, 2, y + laneHeight / 2);
      for (const s of lane.stretches) {
        const a = x(s.from);
        const w = Math.max(1, x(s.to) - a - gap);
        ctx.fillStyle = resolve(s.color);
        ctx.globalAlpha = Math.max(0.3, Number(panel.defaults.custom?.fillOpacity ?? 70) / 100);
        ctx.fillRect(a, y + (laneHeight * (1 - part)) / 2, w, laneHeight * part);
        ctx.globalAlpha = 1;
        if (panel.options.showValue !== 'never' && laneHeight > 12 && w > ctx.measureText(s.shown.text).width + 6) {
          ctx.fillStyle = inkOn(s.color);
          ctx.fillText(s.shown.text, a + 4, y + laneHeight / 2);
        }
      }
    });
    ctx.fillStyle = ink;
    const ticks = Math.max(2, Math.floor((size.width - left) / 110));
    for (let k = 0; k < ticks; k++) {
      const t = answer.from + ((answer.to - answer.from) * k) / ticks;
      ctx.fillText(stamp(t, context.utc).slice(answer.to - answer.from > 2 * 86_400 ? 5 : 11, 16), x(t), size.height - axis / 2);
    }
  }, [lanes, size, dark.value]);
  return (
    <div
      ref={host}
      class="timeline"
      role="img"
      aria-label={`${title}: ${lanes.map((l) => `${l.name} ${l.stretches[l.stretches.length - 1]?.shown.text ?? 'unknown'}`).slice(0, 20).join(', ')}`}
      onMouseLeave={() => setTip(null)}
      onMouseMove={(e) => {
        const box = host.current!.getBoundingClientRect();
        const lane = lanes[Math.floor((e.clientY - box.top) / laneHeight)];
        const t = answer.from + ((e.clientX - box.left - left) / Math.max(1, size.width - left)) * (answer.to - answer.from);
        const at = lane?.stretches.find((s) => s.from <= t && t < s.to);
        setTip(at ? { x: e.clientX - box.left, y: e.clientY - box.top, lane: lane.name, at } : null);
      }}
    >
      <canvas ref={canvas} />
      {tip && (
        <div class="chart-tip" style={{ transform: `translate(${Math.min(tip.x + 12, Math.max(0, size.width - 220))}px, ${tip.y}px)` }}>
          <div class="tip-time">{stamp(tip.at.from, context.utc)} · {duration(Math.round(tip.at.to - tip.at.from))}</div>
          <div class="tip-row near"><i style={{ background: tip.at.color }} /><span>{tip.lane}</span><b>{tip.at.shown.text}</b></div>
        </div>
      )}
    </div>
  );
}
