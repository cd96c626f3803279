import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { ApiError, get } from '../api/client';
import { href, params, setParams } from '../app/router';
import { quote } from '../format/labels';
import { bytes, thousands } from '../format/value';
import { Failure, Filter, Segments, Skeleton, useLoad } from '../ui/parts';

// What the stored series cost, to the byte: by metric, by job, by label name, or by the values of one label.
interface Row {
  name: string;
  series: number;
  values?: number;
  diskBytes: number;
  memoryBytes: number;
  wireBytes: number;
}
interface Cost {
  rows: Row[];
  rowCount: number;
  rest: Row;
  shared: Row;
  total: Row;
  disk: Record<string, number>;
  memory: Record<string, number>;
}
type By = 'metric' | 'job' | 'label';
type Column = 'series' | 'values' | 'diskBytes' | 'memoryBytes' | 'wireBytes';

const ROWS = '500';
const SHOWN = 100;
const SHARES = ['var(--share-1)', 'var(--share-2)', 'var(--share-3)', 'var(--share-4)', 'var(--share-5)', 'var(--share-6)'];

// How a sum is made up, as one bar.
function Shares({ title, parts }: { title: string; parts: Record<string, number> }) {
  const list = Object.entries(parts).filter(([, v]) => v > 0).sort((a, b) => b[1] - a[1]);
  const sum = list.reduce((s, [, v]) => s + v, 0);
  if (sum === 0) return null;
  return (
    <div class="shares">
      <div class="shares-bar" role="img" aria-label={`${title}: ${list.map(([k, v]) => `${k} ${bytes(v)}`).join(', ')}`}>
        {list.map(([k, v], i) => <i key={k} title={`${k}: ${bytes(v)}`} style={{ width: `${(100 * v) / sum}%`, background: SHARES[i % SHARES.length] }} />)}
      </div>
      <div class="shares-legend">
        <b>{title} {bytes(sum)}</b>
        {list.map(([k, v], i) => <span key={k}><i style={{ background: SHARES[i % SHARES.length] }} /> {k} <span class="faint">{bytes(v)}</span></span>)}
      </div>
    </div>
  );
}

export function CostExplorer() {
  const by = (params.value.get('cost') ?? 'metric') as By;
  const label = by === 'label' ? (params.value.get('label') ?? '') : '';
  const search = params.value.get('search') ?? '';
  const [order, setOrder] = useState<Column>('diskBytes');
  const load = useLoad(
    async (signal): Promise<Cost | null> => {
      try {
        return (await get<Cost>('status/cost', { by, limit: ROWS, ...(label !== '' && { label }) }, signal)).data;
      } catch (e) {
        if (e instanceof ApiError && e.status === 404) return null;
        throw e;
      }
    },
    [by, label],
  );
  const names = by === 'label' && label === '';
  const columns: [Column, string][] = [['series', 'Series'], ...(names ? [['values', 'Values'] as [Column, string]] : []), ['diskBytes', 'Disk'], ['memoryBytes', 'Memory'], ['wireBytes', 'Wire']];
  const show = (row: Row, column: Column): string => (column === 'series' || column === 'values' ? thousands(row[column] ?? 0) : bytes(row[column]));
  const name = (row: Row): ComponentChildren => {
    if (row.name.startsWith('(') || row.name === '') return <span class="faint">{row.name || '(none)'}</span>;
    if (names) return <button type="button" class="link mono" onClick={() => setParams({ label: row.name, search: '' })}>{row.name}</button>;
    const expr = by === 'metric' ? row.name : `{${by === 'job' ? 'job' : label}=${quote(row.name)}}`;
    return <a class="mono" href={href(`/query?g0.expr=${encodeURIComponent(expr)}&g0.tab=table`)}>{row.name}</a>;
  };
  const data = load.data;
  if (data === null) return <section class="card empty" data-cost="absent">This server does not say what its series cost.</section>;
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const found = (data?.rows ?? []).filter((r) => words.every((w) => r.name.toLowerCase().includes(w))).sort((a, b) => (b[order] ?? 0) - (a[order] ?? 0));
  const most = Math.max(1, ...found.map((r) => r[order] ?? 0));
  return (
    <section class="card table-scroll" data-cost={by}>
      <div class="card-head wrap-line">
        <h2>Cost</h2>
        <Segments label="Cost by" value={by} options={[['metric', 'by metric'], ['job', 'by job'], ['label', 'by label']]} onPick={(v) => setParams({ cost: v === 'metric' ? '' : v, label: '', search: '' })} />
        {label !== '' && <button type="button" onClick={() => setParams({ label: '', search: '' })}>values of {label} ×</button>}
        <span class="aside"><Filter value={search} onInput={(v) => setParams({ search: v })} label="Filter costs" placeholder="Filter by name" /></span>
      </div>
      {load.state === 'error' && <Failure error={load.error} again={load.again} />}
      {!data ? (
        load.state === 'loading' && <Skeleton />
      ) : (
        <>
          <div class="pad"><Shares title="Disk" parts={data.disk} /><Shares title="Memory" parts={data.memory} /></div>
          <table class="cost">
            <thead>
              <tr>
                <th scope="col">{by === 'metric' ? 'Metric' : by === 'job' ? 'Job' : names ? 'Label' : label}</th>
                {columns.map(([c, text]) => (
                  <th scope="col" class="num" key={c} aria-sort={order === c ? 'descending' : undefined}>
                    <button type="button" class="link" onClick={() => setOrder(c)}>{text}{order === c ? ' ↓' : ''}</button>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {found.slice(0, SHOWN).map((r) => (
                <tr key={r.name} data-cost-row={r.name}>
                  <td class="cost-name"><i class="meter" style={{ width: `${(100 * (r[order] ?? 0)) / most}%` }} />{name(r)}</td>
                  {columns.map(([c]) => <td class="num nowrap" key={c}>{show(r, c)}</td>)}
                </tr>
              ))}
            </tbody>
            <tfoot>
              {data.rowCount > data.rows.length && <tr><td class="dim">{thousands(data.rowCount - data.rows.length)} more</td>{columns.map(([c]) => <td class="num dim nowrap" key={c}>{c === 'values' ? '' : show(data.rest, c)}</td>)}</tr>}
              <tr><td class="dim">shared by all</td>{columns.map(([c]) => <td class="num dim nowrap" key={c}>{c === 'values' || c === 'series' ? '' : show(data.shared, c)}</td>)}</tr>
              <tr><td><b>total</b></td>{columns.map(([c]) => <td class="num nowrap" key={c}><b>{c === 'values' ? '' : show(data.total, c)}</b></td>)}</tr>
            </tfoot>
          </table>
          {found.length > SHOWN && <p class="faint pad">+{thousands(found.length - SHOWN)} more: type to narrow</p>}
        </>
      )}
    </section>
  );
}
