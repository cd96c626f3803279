import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { href } from '../../app/router';
import { Virtual } from '../../ui/parts';
import { fieldLocals, rowLocals, type Answer, type Context } from '../ask';
import { colorOf, inkOn } from '../colors';
import { configFor, display, rangeOver, titleOf, type Config } from '../field';
import { orderOf, rowsOf, type Cell, type Field, type Frame } from '../frames';
import { linksOf } from '../links';
import type { Panel } from '../model';
import { reduceCells, reducerName } from '../reduce';
import { merge } from '../join';

interface Col {
  field: Field;
  config: Config;
  title: string;
  bounds: [number, number];
}

const VIRTUAL = 200; // Rows; more are only in the document while in sight.

// Time series become one table; tables that were not merged are chosen one by one.
function tablesOf(answer: Answer, panel: Panel): { name: string; frame: Frame }[] {
  const series = answer.frames.length > 1 && answer.frames.every((f) => f.fields.length === 2 && f.fields[0].type === 'time');
  const tables = series && panel.type === 'table' && panel.transformations.length === 0 && answer.frames.every((f) => f.refId === answer.frames[0].refId) && answer.frames.length <= 1 ? merge(answer.frames) : answer.frames;
  return tables.map((frame, i) => {
    const last = [...frame.fields].reverse().find((f) => f.type === 'number') ?? frame.fields[0];
    return { name: frame.name ?? (last ? titleOf(last, frame, tables, configFor(panel, last, frame, tables)) : `${i}`), frame };
  });
}

export function TableView({ panel, answer, context }: { panel: Panel; answer: Answer; context: Context }) {
  const [sort, setSort] = useState<{ name: string; desc: boolean } | null>(() => {
    const s = panel.options.sortBy?.[0];
    return s ? { name: String(s.displayName), desc: s.desc === true } : null;
  });
  const [at, setAt] = useState(0);
  const host = useRef<HTMLDivElement>(null);
  const [room, setRoom] = useState(300);
  useEffect(() => {
    const watch = new ResizeObserver(() => host.current && setRoom(Math.max(56, host.current.clientHeight - 64)));
    if (host.current) watch.observe(host.current);
    return () => watch.disconnect();
  }, [answer]);
  const tables = useMemo(() => tablesOf(answer, panel), [answer]);
  const frame = tables[Math.min(at, tables.length - 1)]?.frame;
  const columns = useMemo((): Col[] => {
    if (!frame) return [];
    const whole = rangeOver(answer.frames);
    return frame.fields
      .map((field): Col => {
        const config = configFor(panel, field, frame, answer.frames);
        const bounds = (config.fieldMinMax === true ? rangeOver([{ refId: '', fields: [field] }]) : whole) ?? [0, 100];
        return { field, config: field.type === 'time' ? { ...config, unit: /^dateTime|^time:/.test(config.unit ?? '') ? config.unit : 'dateTimeAsIso' } : config, title: titleOf(field, frame, answer.frames, config), bounds };
      })
      .filter(({ config }) => config.custom?.hidden !== true && config.custom?.hideFrom?.viz !== true);
  }, [frame]);
  const order = useMemo(() => {
    // Tables of before Grafana 7 name the column by its place.
    const first = panel.source.sort;
    const old = sort === null && typeof first?.col === 'number' ? frame?.fields[first.col] : undefined;
    const by = old ?? (sort ? columns.find((c) => c.title === sort.name || c.field.name === sort.name)?.field : undefined);
    return by ? orderOf(by.values, old ? first.desc === true : sort!.desc, true) : Array.from({ length: frame ? rowsOf(frame) : 0 }, (_, i) => i);
  }, [columns, sort]);
  if (!frame) return null;
  const footer = panel.options.footer?.show === true ? (panel.options.footer.reducer?.[0] ?? panel.options.cellHeight?.reducer ?? 'sum') : null;
  const cells = (i: number) => columns.map((c) => <CellView key={c.title} col={c} row={i} frame={frame} context={context} />);
  const head = panel.options.showHeader !== false && (
    <thead>
      <tr>
        {columns.map(({ field, title, config }) => (
          <th key={title} scope="col" class={field.type === 'number' ? 'num' : ''} aria-sort={sort?.name === title ? (sort.desc ? 'descending' : 'ascending') : undefined} style={config.custom?.width ? { minWidth: `${Number(config.custom.width) || 0}px` } : undefined}>
            <button type="button" class="th-button" onClick={() => setSort({ name: title, desc: sort?.name === title ? !sort.desc : true })}>{title}</button>
          </th>
        ))}
      </tr>
    </thead>
  );
  return (
    <div ref={host} class={tables.length > 1 ? 'panel-table with-choice' : 'panel-table'} tabIndex={0}>
      {order.length > VIRTUAL ? (
        <>
          <div class="table-row head">{columns.map(({ title }) => <button type="button" class="th-button clip" key={title} onClick={() => setSort({ name: title, desc: sort?.name === title ? !sort.desc : true })}>{title}</button>)}</div>
          <Virtual count={order.length} rowHeight={28} height={room}>{(i) => <div class="table-row" key={i}>{columns.map((c) => <span class="clip" key={c.title}>{display(c.config, c.field.values[order[i]], c.bounds).text}</span>)}</div>}</Virtual>
        </>
      ) : (
        <table>
          {head}
          <tbody>{order.map((i) => <tr key={i}>{cells(i)}</tr>)}</tbody>
          {footer !== null && (
            <tfoot>
              <tr>{columns.map((c, i) => <td key={c.title} class={c.field.type === 'number' ? 'num' : ''}>{c.field.type === 'number' ? display(c.config, reduceCells(c.field.values, footer)).text : i === 0 ? reducerName(footer) : ''}</td>)}</tr>
            </tfoot>
          )}
        </table>
      )}
      {tables.length > 1 && (
        <div class="table-choice">
          <select aria-label="Table" value={String(at)} onChange={(e) => setAt(Number(e.currentTarget.value))}>
            {tables.map((t, i) => <option key={i} value={String(i)}>{t.name}</option>)}
          </select>
        </div>
      )}
    </div>
  );
}

function CellView({ col, row, frame, context }: { col: Col; row: number; frame: Frame; context: Context }) {
  const { field, config, bounds, title } = col;
  const value: Cell = field.values[row];
  const shown = display(config, value, bounds, undefined, context.utc);
  const kind: string = config.custom?.cellOptions?.type ?? config.custom?.displayMode ?? 'auto';
  const local = (): Record<string, string> => ({ ...fieldLocals(field, title), ...rowLocals(frame, row), '__value.text': shown.text, '__value.raw': String(value ?? ''), '__value.numeric': String(value ?? ''), __value: shown.text });
  const link = config.links?.length ? linksOf(config.links, context, local())[0] : undefined;
  const text = link ? <a href={link.inside ? href(link.url) : link.url} target={link.blank ? '_blank' : undefined} rel="noreferrer" title={link.title}>{shown.text}</a> : shown.text;
  const gauge = /gauge|lcd|basic|gradient-gauge/.test(kind) && !/background/.test(kind) && Number.isFinite(shown.number);
  const style = kind.startsWith('color-background') ? { background: shown.color, color: inkOn(shown.color) } : kind === 'color-text' ? { color: shown.color === '#808080' ? colorOf(undefined, 'var(--ink)') : shown.color } : undefined;
  const align: string | undefined = config.custom?.align && config.custom.align !== 'auto' ? config.custom.align : undefined;
  return (
    <td class={(align ? align === 'right' : field.type === 'number') ? 'num' : ''} style={align === 'center' ? { ...style, textAlign: 'center' } : style}>
      {gauge ? (
        <span class="cell-gauge"><span class="bar-track"><i style={{ width: `${100 * Math.min(1, Math.max(0.004, shown.percent))}%`, background: shown.color }} /></span><b style={{ color: shown.color }}>{text}</b></span>
      ) : (
        text
      )}
    </td>
  );
}
