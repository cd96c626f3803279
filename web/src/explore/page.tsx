import { useEffect, useLayoutEffect, useState } from 'preact/hooks';
import { pageKeys } from '../app/keys';
import { params, restate, step } from '../app/router';
import { Icon } from '../ui/icons';
import { lazy } from '../ui/lazy';
import { Page } from '../ui/parts';
import { Panel, refreshAll } from './panel';
import { DEFAULT, format, parse, type PanelState } from './state';

const MetricExplorer = lazy(() => import('./metrics').then((m) => m.MetricExplorer));

const LIVE = 5; // Seconds.

export function Explore() {
  const panels = parse(params.value);
  const [explorer, setExplorer] = useState<number | null>(null);
  const isLive = params.value.get('refresh') === 'live';
  const put = (next: PanelState[], push = false, on = isLive): void => (push ? step : restate)(format(next, on));
  const toggleLive = (): void => put(isLive ? panels : panels.map((p) => ({ ...p, end: null, moment: null })), false, !isLive);
  const update = (i: number) => (part: Partial<PanelState>, push?: boolean) => put(panels.map((p, k) => (k === i ? { ...p, ...part } : p)), push);
  const all = (change: (p: PanelState) => Partial<PanelState>): void => put(panels.map((p) => ({ ...p, ...change(p) })));
  const clip = (end: number): number | null => (end >= Date.now() / 1000 - 1 ? null : Math.round(end));

  useLayoutEffect(() => {
    pageKeys.value = {
      r: () => refreshAll.value++,
      '[': () => all((p) => ({ end: clip((p.end ?? Date.now() / 1000) - p.range / 2) })),
      ']': () => all((p) => ({ end: clip((p.end ?? Date.now() / 1000) + p.range / 2) })),
      '-': () => all((p) => ({ range: p.range * 2 })),
      '=': () => all((p) => ({ range: Math.max(1, Math.round(p.range / 2)) })),
      '0': () => all(() => ({ end: null, moment: null })),
      l: toggleLive,
      t: () => {
        const range = document.querySelector<HTMLInputElement>('input[data-range]');
        range?.focus();
        range?.select();
      },
    };
    return () => {
      pageKeys.value = {};
    };
  });
  useEffect(() => {
    if (!isLive) return;
    // Not while nobody looks, and not under the pointer: what is read must hold still.
    const timer = setInterval(() => !document.hidden && !document.querySelector('.u-over:hover') && refreshAll.value++, LIVE * 1000);
    return () => clearInterval(timer);
  }, [isLive]);

  return (
    <Page
      name="explore"
      title="Explore"
      aside={
        <>
          <button type="button" class="quiet" data-live={isLive ? 'on' : 'off'} aria-pressed={isLive} title="Live (l)" onClick={toggleLive}>
            {isLive ? <i class="live-dot" /> : <Icon name="clock" />}
            {isLive ? `live · ${LIVE} s` : 'Live'}
          </button>
          <button type="button" class="quiet" title="Refresh (r)" onClick={() => refreshAll.value++}>
            <Icon name="refresh" /> Refresh
          </button>
          <button type="button" data-add-panel onClick={() => put([...panels, { ...DEFAULT, tab: panels[panels.length - 1].tab, range: panels[panels.length - 1].range, end: panels[panels.length - 1].end }])}>
            <Icon name="plus" size={14} /> Add query
          </button>
        </>
      }
    >
      {panels.map((state, i) => (
        <Panel
          key={i}
          index={i}
          state={state}
          update={update(i)}
          remove={panels.length > 1 ? () => put(panels.filter((_, k) => k !== i)) : undefined}
          openExplorer={() => setExplorer(i)}
        />
      ))}
      {explorer !== null && <MetricExplorer onClose={() => setExplorer(null)} onPick={(name) => (update(explorer)({ expr: name }, true), setExplorer(null))} />}
    </Page>
  );
}
