import { duration, parseDuration, parseTime, stamp } from '../format/time';

// What one panel of Explore shows; lives in the address as gN.* in Prometheus' words.
export type Tab = 'graph' | 'table' | 'explain' | 'raw';

export interface PanelState {
  expr: string;
  tab: Tab;
  range: number; // Seconds.
  end: number | null; // Seconds; null is now.
  moment: number | null; // Of the table; null is now.
  step: number | null; // null: by the width of the graph.
  stacked: boolean;
  zero: boolean; // Axis from zero.
  log: boolean;
  exemplars: boolean;
  heatmap: boolean; // Native histograms as one.
}

export const DEFAULT: PanelState = { expr: '', tab: 'table', range: 3600, end: null, moment: null, step: null, stacked: false, zero: false, log: false, exemplars: false, heatmap: true };

function tabOf(text: string | null): Tab {
  if (text === '0' || text === 'graph') return 'graph';
  if (text === 'explain' || text === 'raw') return text;
  return 'table';
}

export function parse(params: URLSearchParams): PanelState[] {
  const indices = new Set<number>();
  for (const name of params.keys()) {
    const match = /^g(\d+)\./.exec(name);
    if (match) indices.add(Number(match[1]));
  }
  const panels = [...indices]
    .sort((a, b) => a - b)
    .map((i): PanelState => {
      const at = (name: string): string | null => params.get(`g${i}.${name}`);
      return {
        expr: at('expr') ?? '',
        tab: at('show_tree') === '1' || at('show_tree') === 'true' ? 'explain' : tabOf(at('tab')),
        range: parseDuration(at('range_input') ?? '') || DEFAULT.range,
        end: parseTime(at('end_input') ?? ''),
        moment: parseTime(at('moment_input') ?? ''),
        step: parseDuration((at('res_type') === 'auto' ? null : (at('res_step') ?? at('step_input'))) ?? '') || null,
        stacked: at('stacked') === '1' || at('stacked') === 'true' || at('display_mode') === 'stacked',
        zero: at('y_axis_min') === '0',
        log: at('display_mode') === 'log',
        exemplars: at('show_exemplars') === '1' || at('show_exemplars') === 'true',
        heatmap: at('display_mode') !== 'lines',
      };
    });
  return panels.length > 0 ? panels : [{ ...DEFAULT }];
}

export function format(panels: PanelState[], live = false): URLSearchParams {
  const out = new URLSearchParams();
  if (live) out.set('refresh', 'live');
  panels.forEach((p, i) => {
    const put = (name: string, value: string): void => out.set(`g${i}.${name}`, value);
    put('expr', p.expr);
    put('tab', p.tab);
    put('range_input', duration(p.range));
    if (p.end !== null) put('end_input', stamp(p.end, true));
    if (p.moment !== null) put('moment_input', stamp(p.moment, true));
    if (p.step !== null) {
      put('res_type', 'fixed');
      put('res_step', String(p.step));
    }
    put('display_mode', p.log ? 'log' : p.stacked ? 'stacked' : p.heatmap ? 'heatmap' : 'lines');
    if (p.exemplars) put('show_exemplars', '1');
    if (p.zero) put('y_axis_min', '0');
  });
  return out;
}
