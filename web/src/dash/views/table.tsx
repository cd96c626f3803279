import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { Icon } from '../../ui/icons';
import { Virtual } from '../../ui/parts';
import type { Answer, Context } from '../ask';
import { configFor, display, rangeOver, titleOf } from '../field';
import { heldIn, NESTED, orderOf, rowsOf, type Cell, type Field, type Frame } from '../frames';
import type { Json, Panel } from '../model';
import { reduceCells, reducerName } from '../reduce';
import { drawCell, rowStyle, type Col } from './cells';

const VIRTUAL = 200; // Rows; more are only in the document while in sight.
const MOST_INSIDE = 1000; // Rows of one group.

interface Sort {
  name: string;
  desc: boolean;
}

// The columns that a frame shows: what the file hides is not among them, nor what a row opens to.
function columnsOf(panel: Panel, frame: Frame, frames: Frame[]): Col[] {
  const whole = rangeOver(frames);
  return frame.fields
    .filter((f) => f.name !== NESTED)
    .map((field): Col => {
      const config = configFor(panel, field, frame, frames);
      const bounds = (config.fieldMinMax === true ? rangeOver([{ refId: '', fields: [field] }]) : whole) ?? [0, 100];
      return { field, config: field.type === 'time' ? { ...config, unit: /^dateTime|^time:/.test(config.unit ?? '') ? config.unit : 'dateTimeAsIso' } : config, title: titleOf(field, frame, frames, config), bounds };
    })
    .filter(({ config }) => config.custom?.hidden !== true && config.custom?.hideFrom?.viz !== true);
}

// The rows by the first column, those that are equal there by the next.
function sortRows(count: number, by: { field: Field; desc: boolean }[]): number[] {
  let rows = Array.from({ length: count }, (_, i) => i);
  for (const { field, desc } of [...by].reverse()) {
    const now = rows;
    rows = orderOf(now.map((i): Cell => heldIn(field.values[i])?.value ?? field.values[i]), desc, true).map((k) => now[k]);
  }
  return rows;
}

// What stands under a column: of old files one calculation for all, of newer ones each column's own.
function footOf(panel: Panel, columns: Col[], frame: Frame): ComponentChildren[] | null {
  const o: Json = panel.options.footer;
  const words = (c: Col, how: string): string => display(c.config, reduceCells(c.field.values, how)).text;
  if (o?.show === true) {
    const how = String((Array.isArray(o.reducer) ? o.reducer[0] : o.reducer) ?? 'sum');
    if (o.countRows === true && how === 'count') return columns.map((_, i) => (i === 0 ? `Count ${rowsOf(frame)}` : ''));
    const only: string[] = (Array.isArray(o.fields) ? o.fields : [o.fields]).filter((f: Json) => typeof f === 'string' && f !== '');
    const meant = (c: Col): boolean => c.field.type === 'number' && (only.length === 0 || only.includes(c.field.name) || only.includes(c.title));
    return columns.map((c, i) => (meant(c) ? words(c, how) : i === 0 ? reducerName(how) : ''));
  }
  const own = columns.map((c): string[] => (Array.isArray(c.config.custom?.footer?.reducers) ? c.config.custom.footer.reducers.map(String) : []));
  return own.some((list) => list.length > 0) ? columns.map((c, i) => own[i].map((how) => <div key={how}>{own[i].length > 1 && <small class="faint">{reducerName(how)} </small>}{words(c, how)}</div>)) : null;
}

const cellClass = (right: boolean, wrap: boolean): string => [right ? 'num' : '', wrap ? 'wrap' : ''].filter(Boolean).join(' ');

// The rows of a group, below the row that stands for it.
function Inside({ panel, frames, context }: { panel: Panel; frames: Frame[]; context: Context }) {
  const frame = frames[0];
  const columns = frame ? columnsOf(panel, frame, frames) : [];
  if (columns.length === 0) return <span class="faint">Nothing more is known of this group.</span>;
  return (
    <table class="nested">
      {frame.bare !== true && <thead><tr>{columns.map((c, i) => <th key={i} scope="col" class={c.field.type === 'number' ? 'num' : ''}>{c.title}</th>)}</tr></thead>}
      <tbody>{Array.from({ length: Math.min(MOST_INSIDE, rowsOf(frame)) }, (_, row) => <Row key={row} columns={columns} row={row} frame={frame} context={context} />)}</tbody>
    </table>
  );
}

function Row({ columns, row, frame, context, before }: { columns: Col[]; row: number; frame: Frame; context: Context; before?: ComponentChildren }) {
  const whole = rowStyle(columns, row);
  return (
    <tr style={whole}>
      {before}
      {columns.map((c, i) => {
        const d = drawCell(c, row, frame, context);
        return <td key={i} class={cellClass(d.right, d.wrap)} style={whole ? { ...d.style, ...whole } : d.style}>{d.content}</td>;
      })}
    </tr>
  );
}

export function TableView({ panel, answer, context }: { panel: Panel; answer: Answer; context: Context }) {
  const [sorts, setSorts] = useState<Sort[] | null>(null);
  const [at, setAt] = useState(Math.max(0, Math.floor(Number(panel.options.frameIndex) || 0)));
  const [turned, setTurned] = useState<ReadonlySet<number>>(new Set());
  const host = useRef<HTMLDivElement>(null);
  const [room, setRoom] = useState(300);
  useEffect(() => {
    const watch = new ResizeObserver(() => host.current && setRoom(Math.max(56, host.current.clientHeight - 64)));
    if (host.current) watch.observe(host.current);
    return () => watch.disconnect();
  }, [answer]);
  // Tables that were not merged are chosen one by one.
  const tables = useMemo(() => answer.frames.map((frame, i) => {
    const last = [...frame.fields].reverse().find((f) => f.type === 'number') ?? frame.fields[0];
    return { name: frame.name ?? (last ? titleOf(last, frame, answer.frames, configFor(panel, last, frame, answer.frames)) : `${i}`), frame };
  }), [answer]);
  const frame = tables[Math.min(at, tables.length - 1)]?.frame;
  const columns = useMemo(() => (frame ? columnsOf(panel, frame, answer.frames) : []), [frame]);
  const given: Sort[] = sorts ?? (Array.isArray(panel.options.sortBy) ? panel.options.sortBy : []).filter((s: Json) => s && typeof s === 'object').map((s: Json) => ({ name: String(s.displayName), desc: s.desc === true }));
  const order = useMemo(() => {
    // Tables of before Grafana 7 name the column by its place.
    const first = panel.source.sort;
    const old = sorts === null && typeof first?.col === 'number' ? frame?.fields[first.col] : undefined;
    const by = old ? [{ field: old, desc: first.desc === true }] : given.flatMap((s) => {
      const column = columns.find((c) => c.title === s.name || c.field.name === s.name);
      return column ? [{ field: column.field, desc: s.desc }] : [];
    });
    return sortRows(frame ? rowsOf(frame) : 0, by);
  }, [columns, sorts]);
  if (!frame) return null;
  const nested = frame.fields.find((f) => f.name === NESTED);
  const foot = footOf(panel, columns, frame);
  const sorted = (title: string): Sort | undefined => given.find((s) => s.name === title);
  const sortBy = (name: string): void => setSorts([{ name, desc: !(sorted(name)?.desc ?? false) }]);
  const opened = (i: number): boolean => turned.has(i) !== (frame.open === true);
  const turn = (i: number): void => {
    const next = new Set(turned);
    if (!next.delete(i)) next.add(i);
    setTurned(next);
  };
  const head = panel.options.showHeader !== false && (
    <thead>
      <tr>
        {nested && <th scope="col" class="narrow"><span class="visually-hidden">Open</span></th>}
        {columns.map(({ field, title, config }, i) => (
          <th key={i} scope="col" class={field.type === 'number' ? 'num' : ''} aria-sort={sorted(title) ? (sorted(title)!.desc ? 'descending' : 'ascending') : undefined} style={config.custom?.width ? { minWidth: `${Number(config.custom.width) || 0}px` } : undefined}>
            <button type="button" class="th-button" onClick={() => sortBy(title)}>{title}</button>
          </th>
        ))}
      </tr>
    </thead>
  );
  const opener = (i: number) => (
    <td class="narrow">
      <button type="button" class="quiet icon-button" data-open-row aria-expanded={opened(i)} aria-label={`Rows of ${columns[0] ? display(columns[0].config, columns[0].field.values[i]).text : i + 1}`} onClick={() => turn(i)}>
        <Icon name={opened(i) ? 'down' : 'right'} size={13} />
      </button>
    </td>
  );
  return (
    <div ref={host} class={tables.length > 1 ? 'panel-table with-choice' : 'panel-table'} tabIndex={0}>
      {order.length > VIRTUAL && !nested ? (
        <>
          {panel.options.showHeader !== false && <div class="table-row head">{columns.map(({ title }, i) => <button type="button" class="th-button clip" key={i} onClick={() => sortBy(title)}>{title}</button>)}</div>}
          <Virtual count={order.length} rowHeight={28} height={room}>
            {(i) => {
              const whole = rowStyle(columns, order[i]);
              return (
                <div class="table-row" key={i} style={whole}>
                  {columns.map((c, k) => {
                    const d = drawCell(c, order[i], frame, context);
                    return <span class={d.right ? 'clip num' : 'clip'} key={k} style={whole ? { ...d.style, ...whole } : d.style}>{d.content}</span>;
                  })}
                </div>
              );
            }}
          </Virtual>
          {foot && <div class="table-row foot">{foot.map((f, i) => <span class={columns[i].field.type === 'number' ? 'clip num' : 'clip'} key={i}>{f}</span>)}</div>}
        </>
      ) : (
        <table>
          {head}
          <tbody>
            {order.flatMap((i) => {
              const row = <Row key={i} columns={columns} row={i} frame={frame} context={context} before={nested && opener(i)} />;
              const inside = nested && opened(i) ? heldIn(nested.values[i]) : null;
              return inside ? [row, <tr key={`in-${i}`} class="inside"><td /><td colSpan={columns.length}><Inside panel={panel} frames={inside.frames} context={context} /></td></tr>] : [row];
            })}
          </tbody>
          {foot && <tfoot><tr>{nested && <td />}{foot.map((f, i) => <td key={i} class={columns[i].field.type === 'number' ? 'num' : ''}>{f}</td>)}</tr></tfoot>}
        </table>
      )}
      {tables.length > 1 && (
        <div class="table-choice">
          <select aria-label="Table" value={String(Math.min(at, tables.length - 1))} onChange={(e) => setAt(Number(e.currentTarget.value))}>
            {tables.map((t, i) => <option key={i} value={String(i)}>{t.name}</option>)}
          </select>
        </div>
      )}
    </div>
  );
}
