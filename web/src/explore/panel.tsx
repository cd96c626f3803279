import { signal, useComputed, useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { ApiError, query, queryRange, recovered, type MatrixSeries, type QueryData } from '../api/client';
import { dark, forgetHistory, history, remember, settings } from '../app/settings';
import { align, splice } from '../chart/align';
import { Chart, type ChartSeries } from '../chart/chart';
import { assign } from '../chart/color';
import { pairs, seriesKey, seriesName } from '../format/labels';
import { duration, niceStep, parseDuration, parseTime, stamp } from '../format/time';
import { exact, short, thousands } from '../format/value';
import { Icon } from '../ui/icons';
import { lazy } from '../ui/lazy';
import { Menu, Skeleton, Virtual } from '../ui/parts';
import { Editor } from './editor';
import { useExemplars } from './exemplars';
import type { PanelState, Tab } from './state';

// What most people never open comes when it is.
const wait = () => <Skeleton rows={6} />;
const Explain = lazy(() => import('./explain').then((m) => m.Explain), wait);
const HistogramGraph = lazy(() => import('./samples').then((m) => m.HistogramGraph), wait);
const RawSamples = lazy(() => import('./samples').then((m) => m.RawSamples), wait);

const hasHistograms = (data: QueryData): boolean => data.resultType === 'matrix' && data.result.some((s) => (s.histograms?.length ?? 0) > 0);

export interface Seen {
  data: QueryData;
  warnings: string[];
  infos: string[];
  ms: number;
  start: number;
  end: number;
  step: number;
  at: number;
}

export const refreshAll = signal(0);

const RANGES = [60, 300, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400, 172_800, 604_800, 1_209_600, 2_592_000, 7_776_000, 31_536_000];
const TABLE_LIMIT = 300;

// Where the parser stopped: "1:5: parse error: ..." counts characters from one.
function position(message: string, expr: string): number | null {
  const match = /(\d+):(\d+): parse error/.exec(message);
  if (!match) return null;
  const lines = expr.split('\n');
  const line = Number(match[1]) - 1;
  return lines.slice(0, line).reduce((sum, l) => sum + l.length + 1, 0) + Number(match[2]) - 1;
}

function Problem({ error, expr }: { error: ApiError; expr: string }) {
  const at = position(error.message, expr);
  return (
    <div class="notice bad" role="alert">
      <Icon name="bad" />
      <div>
        <strong>{error.type === 'bad_data' ? 'The expression is not right' : error.type === 'offline' ? 'Offline' : 'The query failed'}</strong>
        <span class="mono wrap">{error.message}</span>
        {at !== null && (
          <pre>
            {expr.slice(0, at)}
            <span class="at" data-error-at={at}>
              {expr.slice(at, at + 1) || ' '}
            </span>
            {expr.slice(at + 1)}
          </pre>
        )}
      </div>
    </div>
  );
}

function Metric({ metric }: { metric: Record<string, string> }) {
  const list = pairs(metric);
  return (
    <>
      <span class="metric-name">{metric.__name__ ?? ''}</span>
      {(list.length > 0 || !metric.__name__) && '{'}
      {list.map(([name, value], i) => (
        <span key={name}>
          {i > 0 && ', '}
          <span class="pair-name">{name}=</span>"{value}"
        </span>
      ))}
      {(list.length > 0 || !metric.__name__) && '}'}
    </>
  );
}

function ValueCell({ value, time }: { value: string; time?: number }) {
  return <span title={time === undefined ? undefined : stamp(time, settings.value.timezone === 'utc')}>{value}</span>;
}

function Table({ data }: { data: QueryData }) {
  if (data.resultType === 'scalar' || data.resultType === 'string') {
    return (
      <table class="result">
        <tbody>
          <tr>
            <td>{data.resultType}</td>
            <td class="num">{data.result[1]}</td>
          </tr>
        </tbody>
      </table>
    );
  }
  const rows: { metric: Record<string, string>; value: string; time?: number }[] =
    data.resultType === 'vector'
      ? data.result.map((s) => ({ metric: s.metric, value: s.value?.[1] ?? `count ${s.histogram?.[1].count}, sum ${s.histogram?.[1].sum}`, time: s.value?.[0] }))
       : (data.result as MatrixSeries[]).flatMap((s) => [
          { metric: s.metric, value: (s.values ?? []).map(([t, v]) => `${v} @${t}`).join('\n') || (s.histograms ?? []).map(([t, h]) => `count ${h.count}, sum ${h.sum} @${t}`).join('\n') },
        ]);
  if (rows.length > TABLE_LIMIT && data.resultType === 'vector') {
    return (
      <Virtual count={rows.length} rowHeight={28} height={560}>
        {(i) => (
          <div class="result-row" key={i}>
            <span class="clip" title={seriesName(rows[i].metric)}>
              <Metric metric={rows[i].metric} />
            </span>
            <span>{rows[i].value}</span>
          </div>
        )}
      </Virtual>
    );
  }
  return (
    <div class="table-scroll">
      <table class="result">
        <thead>
          <tr>
            <th scope="col">Series</th>
            <th scope="col" class="num">
              Value
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={seriesKey(row.metric)}>
              <td class="wrap">
                <Metric metric={row.metric} />
              </td>
              <td class="num" style={{ whiteSpace: 'pre' }}>
                <ValueCell value={row.value} time={row.time} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Graph({ seen, state, update }: { seen: Seen; state: PanelState; update: (part: Partial<PanelState>, push?: boolean) => void }) {
  const hidden = useSignal<ReadonlySet<string>>(new Set());
  const focus = useSignal<number | null>(null);
  const built = useMemo(() => {
    const result = (seen.data.resultType === 'matrix' ? seen.data.result : []) as MatrixSeries[];
    const { times, columns } = align(result, seen.start, seen.end, seen.step);
    return { result, times, columns, names: result.map((s) => seriesName(s.metric)), keys: result.map((s) => seriesKey(s.metric)) };
  }, [seen]);
  const theme = dark.value;
  const dots = useExemplars(state.exemplars ? state.expr : '', seen.start, seen.end);
  const series = useComputed<ChartSeries[]>(() => {
    const colors = assign(built.keys, dark.value);
    return built.columns.map((values, i) => ({
      label: built.names[i],
      color: colors[i],
      values,
      hidden: hidden.value.has(built.keys[i]),
      fill: state.stacked ? 0.22 : built.columns.length === 1 ? 0.08 : 0,
      stack: state.stacked ? 'all' : undefined,
    }));
  });
  const drawn = useMemo(() => series.value, [built, hidden.value, theme, state.stacked]);
  const axes = useMemo(() => [{ format: (v: number) => short(v), min: state.zero ? 0 : undefined, log: state.log ? 10 : undefined }], [state.zero, state.log]);
  const pick = (i: number, event: MouseEvent): void => {
    const key = built.keys[i];
    const next = new Set(hidden.value);
    if (event.ctrlKey || event.metaKey) {
      if (!next.delete(key)) next.add(key);
    } else {
      const alone = !next.has(key) && next.size === built.keys.length - 1;
      next.clear();
      if (!alone) for (const k of built.keys) if (k !== key) next.add(k);
    }
    hidden.value = next;
  };
  return (
    <>
      <Chart
        times={built.times}
        series={drawn}
        from={seen.start}
        to={seen.end}
        height={340}
        axes={axes}
        utc={settings.value.timezone === 'utc'}
        title={state.expr}
        dark={theme}
        sync="explore"
        focus={focus}
        dots={dots}
        tooltip="single"
        onZoom={(a, b) => {
          const end = Math.round(b);
          update({ end, range: Math.max(1, Math.round(b - a)), step: null }, true);
        }}
      />
      <div class="legend" role="group" aria-label="Series" onMouseLeave={() => (focus.value = null)}>
        {drawn.slice(0, 500).map((s, i) => {
          const values = s.values;
          let last: number | null = null;
          for (let k = values.length - 1; k >= 0 && last === null; k--) last = values[k];
          return (
            <button type="button" key={built.keys[i]} class="legend-row" aria-pressed={!s.hidden} title="Click: only this one. Ctrl-click: hide or show." onMouseEnter={() => (focus.value = i)} onClick={(e) => pick(i, e)}>
              <i class="swatch" style={{ background: s.color }} />
              <span class="clip">{s.label}</span>
              <b>{last === null ? '' : exact(Number(last.toPrecision(6)))}</b>
            </button>
          );
        })}
        {drawn.length > 500 && <p class="faint pad">+{drawn.length - 500} more series in the graph</p>}
      </div>
    </>
  );
}

function TimeField({ value, now, onPick, label }: { value: number | null; now: string; onPick: (v: number | null) => void; label: string }) {
  const utc = settings.value.timezone === 'utc';
  return (
    <input
      aria-label={label}
      size={19}
      placeholder={now}
      value={value === null ? '' : stamp(value, utc)}
      onChange={(e) => {
        const text = e.currentTarget.value;
        onPick(text === '' || text === 'now' ? null : parseTime(text, utc));
      }}
    />
  );
}

export function Panel({ index, state, update, remove, openExplorer }: { index: number; state: PanelState; update: (part: Partial<PanelState>, push?: boolean) => void; remove?: () => void; openExplorer: () => void }) {
  const [draft, setDraft] = useState(state.expr);
  const [seen, setSeen] = useState<Seen | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const [turn, setTurn] = useState(0);
  const asked = useRef('');
  const latest = useRef<{ key: string; end: number; result: MatrixSeries[] } | null>(null);
  const host = useRef<HTMLElement>(null);
  useEffect(() => setDraft(state.expr), [state.expr]);

  useEffect(() => {
    if (state.expr.trim() === '' || state.tab === 'explain' || state.tab === 'raw') {
      setSeen(null);
      setError(null);
      return;
    }
    const abort = new AbortController();
    const kind = `${state.tab}|${state.expr}`;
    if (asked.current !== kind) {
      setSeen(null);
      setError(null);
    }
    asked.current = kind;
    setBusy(true);
    const now = Date.now() / 1000;
    const graph = state.tab === 'graph';
    const width = Math.max(300, (host.current?.clientWidth ?? 1200) - 80);
    const step = state.step ?? Math.max(1, Math.ceil(state.range / Math.min(width / 1.5, 800)));
    const fitted = state.step ?? (step > 15 ? niceStep(step * 0.75) : step);
    const end = graph ? Math.floor((state.end ?? now) / fitted) * fitted : (state.moment ?? now);
    const start = end - Math.floor(state.range / fitted) * fitted;
    // The same graph a little later: only what is new is asked for, and one step again, which may have
    // been incomplete.
    const before = latest.current;
    const resumes = graph && state.end === null && before !== null && before.key === `${kind}|${fitted}|${state.range}` && end >= before.end && before.end - fitted > start;
    const from = resumes ? before!.end - fitted : start;
    const request = graph ? queryRange(state.expr, from, end, fitted, abort.signal) : query(state.expr, end, abort.signal);
    request
      .then((whole) => {
        const answer = resumes && whole.data.resultType === 'matrix' ? { ...whole, data: { resultType: 'matrix' as const, result: splice(before!.result, whole.data.result, from, start) } } : whole;
        latest.current = graph && answer.data.resultType === 'matrix' ? { key: `${kind}|${fitted}|${state.range}`, end, result: answer.data.result } : null;
        if (abort.signal.aborted) return;
        setSeen({ ...answer, start, end, step: fitted, at: now });
        setError(null);
        setBusy(false);
        remember(state.expr);
      })
      .catch((problem) => {
        if (abort.signal.aborted) return;
        const known = problem instanceof ApiError ? problem : new ApiError(String(problem.message), 0);
        setError(known);
        latest.current = null;
        if (known.type !== 'offline') setSeen(null);
        setBusy(false);
      });
    return () => abort.abort();
  }, [state.expr, state.tab, state.range, state.end, state.moment, state.step, turn, refreshAll.value, recovered.value]);

  const run = (): void => {
    if (draft === state.expr) setTurn((n) => n + 1);
    else update({ expr: draft }, true);
  };
  const moveRange = (by: number): void => {
    const i = RANGES.findIndex((r) => r >= state.range);
    const next = by > 0 ? RANGES[Math.min(RANGES.length - 1, (i < 0 ? RANGES.length : i) + (RANGES[i] === state.range ? 1 : 0))] : RANGES[Math.max(0, (i < 0 ? RANGES.length : i) - 1)];
    update({ range: next });
  };
  const shift = (by: number): void => {
    const end = Math.round((state.end ?? Date.now() / 1000) + (by * state.range) / 2);
    update({ end: end >= Date.now() / 1000 - 1 ? null : end });
  };

  const count = seen === null ? 0 : seen.data.resultType === 'scalar' || seen.data.resultType === 'string' ? 1 : seen.data.result.length;
  const empty = state.expr.trim() === '';
  const panelState = error ? 'error' : empty ? 'nodata' : state.tab === 'explain' || state.tab === 'raw' ? 'ok' : seen === null ? 'loading' : count === 0 ? 'nodata' : 'ok';
  const samples = seen && (seen.data.resultType === 'matrix' ? (seen.data.result as MatrixSeries[]).reduce((n, s) => n + (s.values?.length ?? 0) + (s.histograms?.length ?? 0), 0) : count);

  return (
    <section ref={host} class="card explore-panel" data-panel-id={`g${index}`} data-panel-type={state.tab} data-panel-state={panelState} aria-label={`Query ${index + 1}`} aria-busy={busy}>
      <div class="ask">
        <Editor value={draft} onChange={setDraft} onRun={run} broken={error?.type === 'bad_data'} label={`Expression ${index + 1}`} />
        <button type="button" class="primary" data-run onClick={run}>
          Run
        </button>
        <Menu button={<Icon name="clock" />} label="History">
          {(close) => (
            <>
              {history.value.length === 0 && <p class="dim pad">Nothing asked yet.</p>}
              {history.value.slice(0, 30).map((text) => (
                <button type="button" key={text} class="mono" onClick={() => (update({ expr: text }, true), close())}>
                  <span class="clip">{text}</span>
                </button>
              ))}
              {history.value.length > 0 && (
                <button type="button" class="danger" onClick={() => (forgetHistory(), close())}>
                  Clear history
                </button>
              )}
            </>
          )}
        </Menu>
        <button type="button" class="quiet icon-button" aria-label="Metric explorer" title="Metric explorer" onClick={openExplorer}>
          <Icon name="book" />
        </button>
        {remove && (
          <button type="button" class="quiet icon-button" aria-label="Remove this query" title="Remove" onClick={remove}>
            <Icon name="close" />
          </button>
        )}
      </div>
      <div class="tabs">
        <div role="tablist" aria-label="View">
          {(['table', 'graph', 'explain', 'raw'] as Tab[]).map((tab) => (
            <button type="button" role="tab" key={tab} aria-selected={state.tab === tab} onClick={() => update({ tab })}>
              {tab[0].toUpperCase() + tab.slice(1)}
            </button>
          ))}
        </div>
        <span class="stats" data-query-stats aria-live="polite">
          {seen && !error && (
            <>
              {thousands(count)} series{state.tab === 'graph' && ` · step ${duration(seen.step)} · ${thousands(samples ?? 0)} points`} · {Math.round(seen.ms)} ms
            </>
          )}
          {busy && !seen && 'asking …'}
        </span>
      </div>
      {state.tab === 'graph' && (
        <div class="controls">
          <span class="stepper">
            <button type="button" aria-label="Shorter range" onClick={() => moveRange(-1)}>
              −
            </button>
            <input
              aria-label="Range"
              data-range
              size={6}
              value={duration(state.range)}
              onChange={(e) => {
                const seconds = parseDuration(e.currentTarget.value);
                if (seconds) update({ range: seconds });
                else e.currentTarget.value = duration(state.range);
              }}
            />
            <button type="button" aria-label="Longer range" onClick={() => moveRange(1)}>
              +
            </button>
          </span>
          <span class="stepper">
            <button type="button" aria-label="Earlier" onClick={() => shift(-1)}>
              <Icon name="left" size={14} />
            </button>
            <TimeField value={state.end} now="until now" label="End time" onPick={(end) => update({ end })} />
            <button type="button" aria-label="Later" onClick={() => shift(1)}>
              <Icon name="right" size={14} />
            </button>
          </span>
          <label class="check">
            step
            <input
              aria-label="Step"
              size={5}
              placeholder="auto"
              value={state.step === null ? '' : duration(state.step)}
              onChange={(e) => update({ step: parseDuration(e.currentTarget.value) || null })}
            />
          </label>
          <label class="check">
            <input type="checkbox" checked={state.stacked} onChange={(e) => update({ stacked: e.currentTarget.checked, log: false })} /> stacked
          </label>
          <label class="check">
            <input type="checkbox" checked={state.zero} onChange={(e) => update({ zero: e.currentTarget.checked })} /> from zero
          </label>
          <label class="check">
            <input type="checkbox" checked={state.log} onChange={(e) => update({ log: e.currentTarget.checked, stacked: false })} /> log
          </label>
          <label class="check">
            <input type="checkbox" data-exemplars checked={state.exemplars} onChange={(e) => update({ exemplars: e.currentTarget.checked })} /> exemplars
          </label>
          {seen && hasHistograms(seen.data) && (
            <label class="check">
              <input type="checkbox" data-heatmap checked={state.heatmap} onChange={(e) => update({ heatmap: e.currentTarget.checked })} /> heatmap
            </label>
          )}
        </div>
      )}
      {state.tab === 'table' && (
        <div class="controls">
          <TimeField value={state.moment} now="now" label="Evaluation time" onPick={(moment) => update({ moment })} />
        </div>
      )}
      <div class={busy && seen ? 'explore-body' : 'explore-body'}>
        {error && <Problem error={error} expr={state.expr} />}
        {seen?.warnings.map((w) => (
          <div class="notice warn" key={w}>
            <Icon name="warn" />
            <div>{w}</div>
          </div>
        ))}
        {seen?.infos.map((w) => (
          <div class="notice" key={w}>
            <Icon name="unknown" />
            <div>{w}</div>
          </div>
        ))}
        {empty && (
          <div class="empty">
            <p>Type an expression and press Enter. Ctrl-Space completes; ↑ brings back what was asked before.</p>
          </div>
        )}
        {!empty && state.tab === 'explain' && <Explain expr={state.expr} />}
        {!empty && state.tab === 'raw' && <RawSamples expr={state.expr} />}
        {panelState === 'loading' && <Skeleton rows={state.tab === 'graph' ? 14 : 5} />}
        {panelState === 'nodata' && !empty && (
          <div class="empty">
            <h2>No series</h2>
            <p>
              <code class="wrap">{state.expr}</code> matched nothing {state.tab === 'graph' ? `in the ${duration(state.range)} asked for` : 'at this moment'}.
            </p>
            {state.tab === 'graph' && (
              <button type="button" onClick={() => moveRange(1)}>
                Ask for a longer range
              </button>
            )}
          </div>
        )}
        {seen && count > 0 && state.tab === 'table' && seen.data.resultType !== undefined && <Table data={seen.data} />}
        {seen && count > 0 && state.tab === 'graph' && seen.data.resultType === 'matrix' && (hasHistograms(seen.data) && state.heatmap ? <HistogramGraph seen={seen} state={state} update={update} /> : <Graph seen={seen} state={state} update={update} />)}
      </div>
    </section>
  );
}

