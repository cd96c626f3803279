// What stands in a cell of a table, in each of the ways that a file may ask for.
import type { ComponentChildren } from 'preact';
import { href } from '../../app/router';
import { fieldLocals, rowLocals, type Context } from '../ask';
import { inkOn } from '../colors';
import { display, type Config, type Shown } from '../field';
import { heldIn, type Cell, type Field, type Frame } from '../frames';
import { linksOf, type Link } from '../links';
import { elsewhere, Text } from './markup';
import { Spark } from './single';

export interface Col {
  field: Field;
  config: Config;
  title: string;
  bounds: [number, number];
}

export interface Drawn {
  content: ComponentChildren;
  right: boolean;
  style?: Record<string, string>;
  wrap: boolean;
}

interface CellOptions {
  type?: unknown;
  mode?: unknown;
  valueDisplayMode?: unknown;
  hideValue?: unknown;
  applyToRow?: unknown;
  wrapText?: unknown;
}

// Grafana before 9.3 said it in a word, "displayMode".
const OLD: Record<string, CellOptions> = {
  'color-background-solid': { type: 'color-background', mode: 'basic' },
  'gradient-gauge': { type: 'gauge', mode: 'gradient' },
  'lcd-gauge': { type: 'gauge', mode: 'lcd' },
  basic: { type: 'gauge', mode: 'basic' },
};

export function cellOptions(config: Config): CellOptions {
  const given = config.custom?.cellOptions;
  const word = String((given && typeof given === 'object' ? given.type : undefined) ?? config.custom?.displayMode ?? 'auto');
  return { ...(given && typeof given === 'object' ? given : {}), ...(Object.hasOwn(OLD, word) ? OLD[word] : { type: word }) };
}

function Anchor({ link, children }: { link: Link; children: ComponentChildren }) {
  return <a href={link.inside ? href(link.url) : link.url} target={link.blank ? '_blank' : undefined} rel="noreferrer" title={link.title}>{children}</a>;
}

const GREY = '#808080';

export function drawCell(col: Col, row: number, frame: Frame, context: Context): Drawn {
  const { field, config, bounds, title } = col;
  const value: Cell = field.values[row];
  const shown = display(config, value, bounds, undefined, context.utc);
  const options = cellOptions(config);
  const align: unknown = config.custom?.align && config.custom.align !== 'auto' ? config.custom.align : undefined;
  const locals = (): Record<string, string> => ({ ...fieldLocals(field, title), ...rowLocals(frame, row), '__value.text': shown.text, '__value.raw': String(value ?? ''), '__value.numeric': String(value ?? ''), __value: shown.text });
  const links = config.links?.length ? linksOf(config.links, context, locals()) : [];
  const text = links.length > 0 ? <Anchor link={links[0]}>{shown.text}</Anchor> : shown.text;
  const out: Drawn = { content: text, right: align ? align === 'right' : field.type === 'number', wrap: options.wrapText === true || config.custom?.wrapText === true };
  if (align === 'center') out.style = { textAlign: 'center' };
  switch (options.type) {
    case 'color-background':
      out.style = { ...out.style, background: shown.color, color: inkOn(shown.color) };
      break;
    case 'color-text':
      out.style = { ...out.style, color: shown.color === GREY ? 'var(--ink)' : shown.color };
      break;
    case 'gauge':
      if (Number.isFinite(shown.number)) out.content = <GaugeCell shown={shown} options={options}>{text}</GaugeCell>;
      break;
    case 'json-view':
      out.content = <code>{json(value, shown.text)}</code>;
      break;
    case 'image':
      out.content = elsewhere(String(value ?? ''), String(value ?? ''));
      break;
    case 'data-links':
      if (links.length > 0) out.content = links.map((l, i) => <span key={i} class="cell-link"><Anchor link={l}>{l.title}</Anchor></span>);
      break;
    case 'pill':
      out.content = pills(value).map((t, i) => <span key={i} class="label">{display(config, t, bounds).text}</span>);
      break;
    case 'markdown':
      out.content = <Text source={shown.text} mode="markdown" />;
  }
  const inside = heldIn(value);
  if (inside) {
    // A series in a cell: its line, and the value that it comes down to.
    const series = inside.frames[0]?.fields.find((f) => f.type === 'number');
    const color = shown.color === GREY ? 'var(--accent)' : shown.color;
    out.content = <span class="cell-spark">{series && <Spark values={series.values.map((v) => (typeof v === 'number' ? v : null))} color={color} />}{options.hideValue !== true && <b>{text}</b>}</span>;
  }
  return out;
}

function json(value: Cell, text: string): string {
  try {
    return JSON.stringify(typeof value === 'string' ? JSON.parse(value) : value, null, 1);
  } catch {
    return text;
  }
}

const pills = (value: Cell): string[] => String(value ?? '').replace(/^\[|\]$/g, '').split(',').map((t) => t.trim().replace(/^"(.*)"$/, '$1')).filter((t) => t !== '');

function GaugeCell({ shown, options, children }: { shown: Shown; options: CellOptions; children: ComponentChildren }) {
  const words = options.valueDisplayMode;
  return (
    <span class="cell-gauge">
      <span class={options.mode === 'lcd' ? 'bar-track lcd' : 'bar-track'}>
        <i style={{ width: `${100 * Math.min(1, Math.max(0.004, shown.percent))}%`, background: shown.color }} />
      </span>
      {words !== 'hidden' && <b style={words === 'text' ? undefined : { color: shown.color }}>{children}</b>}
    </span>
  );
}

// A cell may colour all of its row.
export function rowStyle(columns: Col[], row: number): Record<string, string> | undefined {
  const col = columns.find((c) => {
    const o = cellOptions(c.config);
    return o.type === 'color-background' && o.applyToRow === true;
  });
  if (!col) return undefined;
  const { color } = display(col.config, col.field.values[row], col.bounds);
  return { background: color, color: inkOn(color) };
}
