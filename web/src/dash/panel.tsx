import { Component, type ComponentChildren, type ComponentType } from 'preact';
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { recovered } from '../api/client';
import { href } from '../app/router';
import { Icon } from '../ui/icons';
import { type Late, lazy } from '../ui/lazy';
import { Menu } from '../ui/parts';
import { ask, rangeOf, stepOf, type Answer, type Context } from './ask';
import { ALL, fill, type Times } from './interpolate';
import { linksOf } from './links';
import { asks as askable, type Panel } from './model';
import { BarGauge, GaugeView, Pie, singles, Stat, type Single } from './views/single';
import { TimeSeries } from './views/timeseries';
export type { Context } from './ask';

const SINGLE = new Set(['stat', 'gauge', 'bargauge', 'piechart']);
const ASKING = new Set([...SINGLE, 'timeseries', 'heatmap', 'histogram', 'state-timeline', 'status-history', 'barchart', 'table', 'xychart', 'trend', 'candlestick']);
const ABSENT: Record<string, string> = {
  logs: 'Logs are not available here: Vedette keeps metrics.',
  traces: 'Traces are not available here: Vedette keeps metrics.',
  flamegraph: 'Profiles are not available here: Vedette keeps metrics.',
  news: 'News are not available here: nothing is fetched from elsewhere.',
  annolist: 'A list of annotations is not available here.',
};
const QUIET = new Set(['text', 'row', 'dashlist', 'alertlist', 'plugin', ...Object.keys(ABSENT)]);

// Why a panel has nothing to draw; empty if it may have.
function absence(panel: Panel): string {
  if (panel.type === 'plugin') return `This panel is a plug-in of Grafana that is not available here. (${panel.standsFor})`;
  if (Object.hasOwn(ABSENT, panel.type)) return ABSENT[panel.type];
  if (!ASKING.has(panel.type)) return '';
  if (panel.standsFor !== '' && panel.targets.length === 0) return `“${panel.standsFor}” is not available here.`;
  return panel.foreign === '' ? '' : `This panel asks ${panel.foreign}, which is not available here: Vedette keeps metrics.`;
}

interface ViewProps {
  panel: Panel;
  answer: Answer;
  context: Context;
  title: string;
}

// Drawings that few dashboards have come when one has them.
const wait = () => <div class="panel-message">…</div>;
const AlertList = lazy(() => import('./views/lists').then((m) => m.AlertList), wait);
const DashList = lazy(() => import('./views/lists').then((m) => m.DashList), wait);
const Text = lazy(() => import('./views/markup').then((m) => m.Text), wait);
const TableView = lazy(() => import('./views/table').then((m) => m.TableView), wait);
const Timeline = lazy<ViewProps>(() => import('./views/timeline').then((m) => m.Timeline), wait);
const XyChart = lazy<ViewProps>(() => import('./views/xy').then((m) => m.XyChart), wait);
const RARE: Record<string, Late<ViewProps>> = {
  heatmap: lazy<ViewProps>(() => import('./views/heat').then((m) => m.HeatPanel), wait),
  histogram: lazy<ViewProps>(() => import('./views/heat').then((m) => m.HistogramPanel as ComponentType<ViewProps>), wait),
  barchart: lazy<ViewProps>(() => import('./views/bars').then((m) => m.BarChart), wait),
  'state-timeline': Timeline,
  'status-history': Timeline,
  xychart: XyChart,
  trend: XyChart,
  candlestick: lazy<ViewProps>(() => import('./views/candles').then((m) => m.Candles), wait),
};

// A drawing that comes late is there before its panel says that it is drawn.
const coming = (type: string): Promise<void> => {
  const view = type === 'table' ? TableView : Object.hasOwn(RARE, type) ? RARE[type] : null;
  return view === null ? Promise.resolve() : view.coming().catch(() => {});
};

function Rare(props: ViewProps) {
  const Drawn = RARE[props.panel.type];
  return <Drawn {...props} />;
}

function View({ panel, answer, context, title, list }: { panel: Panel; answer: Answer; context: Context; title: string; list: Single[] }) {
  switch (panel.type) {
    case 'stat': return <Stat panel={panel} list={list} />;
    case 'gauge': return <GaugeView panel={panel} list={list} />;
    case 'bargauge': return <BarGauge panel={panel} list={list} />;
    case 'piechart': return <Pie panel={panel} list={list} />;
    case 'table': return <TableView panel={panel} answer={answer} context={context} />;
  }
  if (Object.hasOwn(RARE, panel.type)) return <Rare panel={panel} answer={answer} context={context} title={title} />;
  return <TimeSeries panel={panel} answer={answer} context={context} title={title} />;
}

// "last 2h", "since now/d".
const lasting = (from: string): string => (from === '' ? '' : /\//.test(from) ? `since ${from}` : `last ${from.replace(/^now-/, '')}`);

// A file may say what no drawing expects: then that panel says so, and the others draw.
class Guard extends Component<{ failed: (message: string) => void; children: ComponentChildren }, { broken: boolean }> {
  state = { broken: false };
  componentDidCatch(error: Error): void {
    this.setState({ broken: true });
    this.props.failed(cannotDraw(error));
  }
  render() {
    return this.state.broken ? null : this.props.children;
  }
}
const cannotDraw = (error: Error): string => `This panel cannot be drawn: ${error.message}`;

type State = 'loading' | 'ok' | 'nodata' | 'error';

function stateOf(panel: Panel, answer: Answer | null, error: string | null, seen: boolean): State {
  if (QUIET.has(panel.type) || absence(panel) !== '') return 'ok';
  if (!ASKING.has(panel.type)) return 'error';
  if (error !== null) return 'error';
  if (answer === null) return seen && panel.targets.every((t) => t.hide || !askable(t)) ? 'nodata' : 'loading';
  const rows = answer.frames.some((f) => (f.fields[0]?.values.length ?? 0) > 0) || answer.histograms.length > 0;
  if (rows || (panel.type === 'stat' && panel.defaults.noValue !== undefined && panel.defaults.noValue !== null)) return 'ok';
  return 'nodata';
}

// Where the queries of a drawn panel go on being looked at; for the key "e".
export const exploring = new WeakMap<Element, () => string>();

export function PanelView({ panel, context, local, repeat, open }: { panel: Panel; context: Context; local: Record<string, string>; repeat?: string; open?: () => void }) {
  const host = useRef<HTMLElement>(null);
  const [seen, setSeen] = useState(false);
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [error, setError] = useState<string | null>(null);
  const absent = absence(panel);
  const asks = ASKING.has(panel.type) && absent === '';
  useEffect(() => {
    const watch = new IntersectionObserver((entries) => setSeen(entries[entries.length - 1].isIntersecting), { rootMargin: '200px' });
    watch.observe(host.current!);
    return () => watch.disconnect();
  }, []);
  const times: Times = { from: context.from, to: context.to, step: 1, interval: context.scrapeInterval };
  // Only the variables that this panel names make it ask again; ad hoc filters concern all.
  const scopeKey = useMemo(() => {
    const used = JSON.stringify([panel.targets, panel.interval, panel.timeFrom, panel.timeShift, panel.transformations]);
    const adhoc = new Set(context.board.variables.filter((v) => v.type === 'adhoc').map((v) => v.name));
    return JSON.stringify(Object.entries(context.scope).filter(([name]) => adhoc.has(name) || new RegExp(`\\$\\{?${name}\\b|\\[\\[${name}`).test(used)).map(([n, c]) => [n, c.values, c.values[0] === ALL ? c.options : 0]));
  }, [context.scope, panel]);
  const done = useRef('');
  useEffect(() => {
    const key = [scopeKey, context.from, context.to, context.turn, recovered.value, JSON.stringify(local)].join('|');
    if (!seen || !asks || done.current === key) return;
    const abort = new AbortController();
    Promise.all([ask(panel, context, host.current?.clientWidth ?? 600, local, abort.signal), coming(panel.type)]).then(
      ([a]) => {
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

  const say = (t: string): string => fill(t, context.board, context.scope, times, 'text', local);
  const title = say(panel.title);
  // The same list while it is the same: a chart is made anew for another.
  const marks = useMemo(() => {
    const meant = context.marks.filter((m) => !m.panels || m.panels.ids.includes(panel.id) !== m.panels.except);
    return meant.length === context.marks.length ? context.marks : meant;
  }, [context.marks, panel.id]);
  const own = marks === context.marks ? context : { ...context, marks };
  const [list, broken] = useMemo((): [Single[], string | null] => {
    try {
      return [answer && SINGLE.has(panel.type) ? singles(panel, answer, context) : [], null];
    } catch (e) {
      return [[], cannotDraw(e as Error)];
    }
  }, [answer, panel]);
  const notes = useMemo(() => [...(answer?.failed ?? []), ...(answer?.notes ?? []), ...(panel.standsFor !== '' && absent === '' ? [`“${panel.standsFor}” is not available here: its data as ${panel.type}.`] : [])], [answer, panel]);
  const wrong = error ?? broken;
  const state = stateOf(panel, answer, wrong, seen);
  const color = state === 'ok' && (panel.type === 'stat' || panel.type === 'gauge') ? list[0]?.shown.color : undefined;
  const noValue = state === 'ok' && panel.type === 'stat' && absent === '' && list.length === 0;
  const links = useMemo(() => linksOf(panel.links, context, local), [panel, context.scope, context.from]);
  const explore = useCallback((): string => {
    const [from, to] = rangeOf(panel, context);
    const put = panel.targets.filter((t) => t.expr !== '' && !t.hide).map((t, i) => {
      const { step, rate } = stepOf(t, panel, context, 600, to - from);
      return `g${i}.expr=${encodeURIComponent(fill(t.expr, context.board, context.scope, { ...times, step, rate }, 'query', local))}&g${i}.tab=graph&g${i}.range_input=${Math.round(to - from)}s`;
    });
    return '/query?' + put.join('&');
  }, [panel, context, local]);
  useEffect(() => void exploring.set(host.current!, explore), [explore]);
  const asksAny = panel.targets.some((t) => t.expr !== '' && !t.hide);
  const quietText = (): string => say(String(panel.options.content ?? panel.source.content ?? ''));
  return (
    <article ref={host} class={panel.transparent ? 'panel transparent' : 'panel'} tabIndex={-1} data-panel-id={panel.id} data-panel-type={panel.type} data-panel-state={state} data-panel-color={color} data-panel-repeat={repeat} aria-busy={state === 'loading' && seen} aria-label={title || panel.type}>
      <header>
        <h3 class="clip" title={say(panel.description) || title}>
          {title}
        </h3>
        {!panel.hideTime && (panel.timeFrom !== '' || panel.timeShift !== '') && <span class="panel-time">{[lasting(say(panel.timeFrom)), panel.timeShift === '' ? '' : `${say(panel.timeShift).replace(/^-/, '')} earlier`].filter(Boolean).join(', ')}</span>}
        {answer && notes.length > 0 && (
          <span class="panel-flag" role="note" title={notes.join('\n')} aria-label={answer.failed.length > 0 ? `${answer.failed.length} of ${answer.asked} queries failed` : 'warnings'}>
            <Icon name="warn" size={13} />
          </span>
        )}
        {(asksAny || links.length > 0 || open) && (
          <Menu button={<Icon name="down" size={13} />} label={`More of ${title || 'this panel'}`}>
            {(close) => (
              <>
                {open && <button type="button" data-view onClick={() => (open(), close())}>View (v)</button>}
                {asksAny && <a data-explore href={href(explore())}>Open in Explore (e)</a>}
                {links.map((l) => <a key={l.url} href={l.inside ? href(l.url) : l.url} target={l.blank ? '_blank' : undefined} rel="noreferrer">{l.title}</a>)}
              </>
            )}
          </Menu>
        )}
      </header>
      <div class="panel-body">
        {state === 'error' && (
          <div class="panel-message bad" role="alert">
            {asks ? wrong : panel.problem !== '' ? panel.problem : panel.type === 'unknown' ? 'This panel names no type. Library panels are kept in Grafana, not in this file.' : `Unknown panel type “${panel.type}”.`}
          </div>
        )}
        {state === 'nodata' && <div class="panel-message">No data</div>}
        {panel.type === 'text' && state === 'ok' && <Text source={quietText()} mode={String(panel.options.mode ?? panel.source.mode ?? 'markdown')} />}
        {panel.type === 'dashlist' && seen && <DashList panel={panel} fill={say} />}
        {panel.type === 'alertlist' && seen && <AlertList panel={panel} fill={say} />}
        {absent !== '' && <div class="panel-message">{absent}</div>}
        {noValue && (
          <div class="stats-grid">
            <div class="stat">
              <b data-panel-value>{String(panel.defaults.noValue ?? 'No data')}</b>
            </div>
          </div>
        )}
        {state === 'ok' && answer && !noValue && <Guard failed={setError}><View panel={panel} answer={answer} context={own} title={title} list={list} /></Guard>}
      </div>
    </article>
  );
}
