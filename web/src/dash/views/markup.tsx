// Text panels. Markdown and the harmless part of HTML become elements of ours, one by one: what is not
// on the list is left out, attributes other than a link's address are not read, nothing is fetched.
import { Fragment, h, type ComponentChildren } from 'preact';
import { href } from '../../app/router';
import { safeUrl } from '../links';

const TAGS = new Set('h1 h2 h3 h4 h5 h6 p div span b strong i em u s small code pre ul ol li br hr a table thead tbody tr th td blockquote center sup sub dl dt dd section article header footer font mark kbd'.split(' '));
const VOID = new Set(['br', 'hr', 'img', 'input', 'meta', 'link', 'source', 'wbr', 'area', 'base', 'embed', 'col', 'track', 'param']);
// The text in these is no text for people.
const SILENT = new Set(['script', 'style', 'iframe', 'object', 'template', 'noscript', 'svg', 'math', 'title', 'textarea', 'select', 'noembed', 'noframes', 'xmp', 'plaintext', 'head', 'video', 'audio', 'canvas']);
const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0', copy: '©', mdash: '—', ndash: '–', hellip: '…', rarr: '→', larr: '←', uarr: '↑', darr: '↓', middot: '·', bull: '•', deg: '°', micro: 'µ', times: '×' };

const decode = (text: string): string =>
  text.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|([a-z]+));/gi, (whole, hex, dec, name) => {
    const code = hex ? parseInt(hex, 16) : dec ? Number(dec) : 0;
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : name ? (ENTITIES[name.toLowerCase()] ?? whole) : whole;
  });

interface Element {
  tag: string;
  href?: string;
  src?: string;
  align?: string;
  children: (Element | string)[];
}

// Pictures that are in the text itself are drawn; what is elsewhere is not fetched but linked.
const INLINE = /^data:image\/(?:png|jpe?g|gif|webp|svg\+xml)[;,]/i;
const lastName = (url: string): string => url.replace(/[?#].*$/, '').replace(/\/+$/, '').split('/').pop() ?? '';

function pointer(url: string, name: string): (Element | string)[] {
  const shown = name.trim() || lastName(url);
  if (INLINE.test(url.trim())) return [{ tag: 'img', src: url.trim(), children: [name] }];
  return safeUrl(url) ? [{ tag: 'a', href: url, children: [shown || url] }] : [name];
}

const TOKEN = /<!--[\s\S]*?(?:-->|$)|<!\[?[^>]*>|<\?[^>]*>|<(\/?)([a-zA-Z][\w:-]*)((?:"[^"]*"|'[^']*'|[^"'>])*)>/g;
const DEEPEST = 64;

// A tree of what is allowed. Tags that do not close are closed where their parent ends.
export function parseHtml(source: string): Element {
  const root: Element = { tag: '', children: [] };
  const open: Element[] = [root];
  let at = 0;
  const text = (t: string): void => void (t !== '' && open[open.length - 1].children.push(decode(t)));
  TOKEN.lastIndex = 0;
  for (let m = TOKEN.exec(source); m; m = TOKEN.exec(source)) {
    text(source.slice(at, m.index));
    at = TOKEN.lastIndex;
    if (m[2] === undefined) continue;
    const tag = m[2].toLowerCase();
    if (m[1] === '/') {
      const i = open.map((e) => e.tag).lastIndexOf(tag);
      if (i > 0) open.length = i;
      continue;
    }
    const attribute = (name: string): string | undefined => {
      const found = new RegExp(`(?:^|[\\s"'/])${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)'|([^\\s"'>]+))`, 'i').exec(m[3]);
      return found ? decode(found[1] ?? found[2] ?? found[3] ?? '') : undefined;
    };
    const parent = open[open.length - 1];
    const linked = open.some((e) => e.tag === 'a');
    if (tag === 'iframe' && !linked) parent.children.push(...pointer(attribute('src') ?? '', attribute('title') ?? ''));
    if (SILENT.has(tag)) {
      const close = new RegExp(`</${tag}[^>]*>`, 'gi');
      close.lastIndex = at;
      const end = close.exec(source);
      at = end ? close.lastIndex : source.length;
      TOKEN.lastIndex = at;
      if (!end) break;
      continue;
    }
    if (tag === 'img') {
      const [src, alt] = [attribute('src') ?? '', attribute('alt') ?? ''];
      if (linked && !INLINE.test(src.trim())) parent.children.push(alt || lastName(src));
      else parent.children.push(...pointer(src, alt));
      continue;
    }
    if (!TAGS.has(tag) || open.length > DEEPEST) continue;
    const align = attribute('align') ?? /text-align:\s*(center|right)/i.exec(attribute('style') ?? '')?.[1];
    const made: Element = { tag: tag === 'font' || tag === 'section' || tag === 'article' || tag === 'header' || tag === 'footer' ? 'span' : tag, href: tag === 'a' ? attribute('href') : undefined, align: tag === 'center' ? 'center' : align, children: [] };
    parent.children.push(made);
    if (!VOID.has(tag) && !m[3].endsWith('/')) open.push(made);
  }
  text(source.slice(at).replace(/<[a-zA-Z/!][^>]*$/, ''));
  return root;
}

function Anchor({ to, children }: { to: string | undefined; children: ComponentChildren }) {
  const link = to === undefined ? null : to.startsWith('#') ? null : safeUrl(to);
  if (!link) return <span>{children}</span>;
  return <a href={link.inside ? href(link.url) : link.url} target={link.inside ? undefined : '_blank'} rel="noreferrer noopener">{children}</a>;
}

function draw(node: Element | string, key: number): ComponentChildren {
  if (typeof node === 'string') return node;
  const children = node.children.map(draw);
  if (node.tag === 'a') return <Anchor key={key} to={node.href}>{children}</Anchor>;
  if (node.tag === 'img') return <img key={key} src={node.src} alt={String(node.children[0] ?? '')} />;
  const tag = node.tag === 'center' ? 'div' : node.tag;
  // The page has its own first heading.
  const name = tag === 'h1' || tag === 'h2' ? 'h3' : tag;
  const props: Record<string, unknown> = { key };
  if (node.align === 'center' || node.align === 'right') props.style = { textAlign: node.align };
  if (tag !== name) props.class = 'large';
  return VOID.has(name) ? h(name, props) : h(name, props, children);
}

// A picture that a cell or a text names.
export const elsewhere = (url: string, name: string): ComponentChildren => pointer(url, name).map(draw);

function inline(text: string): ComponentChildren[] {
  return text.split(/(!?\[[^\]]*\]\([^)\s]*(?:\s+"[^"]*")?\)|`[^`]+`|\*\*[^*]+\*\*|__[^_]+__|\*[^*\s][^*]*\*|<https?:\/\/[^>\s]+>)/).map((p, i) => {
    const link = /^(!?)\[([^\]]*)\]\(([^)\s]*)(?:\s+"[^"]*")?\)$/.exec(p);
    if (link?.[1]) return <Fragment key={i}>{pointer(link[3], link[2]).map(draw)}</Fragment>;
    if (link) return <Anchor key={i} to={link[3]}>{inline(link[2])}</Anchor>;
    if (/^<https?:/.test(p)) return <Anchor key={i} to={p.slice(1, -1)}>{p.slice(1, -1)}</Anchor>;
    if (p.startsWith('`') && p.length > 2) return <code key={i}>{p.slice(1, -1)}</code>;
    if (/^(\*\*|__)/.test(p) && p.length > 4) return <b key={i}>{p.slice(2, -2)}</b>;
    if (p.startsWith('*') && p.endsWith('*') && p.length > 2) return <em key={i}>{p.slice(1, -1)}</em>;
    // HTML may stand in a line of Markdown.
    return /<[a-zA-Z/!]/.test(p) ? <Fragment key={i}>{parseHtml(p).children.map(draw)}</Fragment> : decode(p);
  });
}

function markdown(source: string): ComponentChildren[] {
  const out: ComponentChildren[] = [];
  const lines = source.split(/\r?\n/);
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i];
    const fence = /^\s*(```|~~~)/.exec(line);
    if (fence) {
      const body: string[] = [];
      while (++i < lines.length && !lines[i].trim().startsWith(fence[1])) body.push(lines[i]);
      out.push(<pre key={i}>{body.join('\n')}</pre>);
      continue;
    }
    const head = /^\s{0,3}(#{1,6})\s+(.*?)\s*#*$/.exec(line);
    if (head) {
      out.push(h(head[1].length < 3 ? 'h3' : 'h4', { key: i, class: head[1].length < 3 ? 'large' : undefined }, inline(head[2])));
      continue;
    }
    if (/^\s*([-*_])(\s*\1){2,}\s*$/.test(line)) {
      out.push(<hr key={i} />);
      continue;
    }
    const item = /^\s*([-*+]|\d+[.)])\s+(.*)$/.exec(line);
    if (item) {
      const ordered = /\d/.test(item[1]);
      const items: ComponentChildren[] = [];
      for (let m: RegExpExecArray | null = item; m; m = /^\s*([-*+]|\d+[.)])\s+(.*)$/.exec(lines[i + 1] ?? '')) {
        if (m !== item) i++;
        items.push(<li key={i}>{inline(m[2])}</li>);
      }
      out.push(ordered ? <ol key={i}>{items}</ol> : <ul key={i}>{items}</ul>);
      continue;
    }
    if (/^\s*\|.*\|\s*$/.test(line) && /^\s*\|[\s:|-]+\|\s*$/.test(lines[i + 1] ?? '')) {
      const cells = (l: string): string[] => l.trim().replace(/^\||\|$/g, '').split('|');
      const names = cells(line);
      const rows: string[][] = [];
      for (i += 2; i < lines.length && /^\s*\|/.test(lines[i]); i++) rows.push(cells(lines[i]));
      i--;
      out.push(<table key={i}><thead><tr>{names.map((c, k) => <th key={k} scope="col">{inline(c.trim())}</th>)}</tr></thead><tbody>{rows.map((r, k) => <tr key={k}>{r.map((c, n) => <td key={n}>{inline(c.trim())}</td>)}</tr>)}</tbody></table>);
      continue;
    }
    const quote = /^\s*>\s?(.*)$/.exec(line);
    if (quote) {
      out.push(<blockquote key={i}>{inline(quote[1])}</blockquote>);
      continue;
    }
    if (line.trim() === '') continue;
    // A block of HTML goes on to the next empty line.
    if (/^\s*<[a-zA-Z!/]/.test(line)) {
      const body = [line];
      while (i + 1 < lines.length && lines[i + 1].trim() !== '') body.push(lines[++i]);
      out.push(<div key={i}>{parseHtml(body.join('\n')).children.map(draw)}</div>);
      continue;
    }
    const body = [line];
    while (i + 1 < lines.length && lines[i + 1].trim() !== '' && !/^\s*([-*+]\s|\d+[.)]\s|#{1,6}\s|>|```|\||<)/.test(lines[i + 1])) body.push(lines[++i]);
    out.push(<p key={i}>{inline(body.join(' '))}</p>);
  }
  return out;
}

// A text may be there to take up room alone; who does not see that is told.
export const wordless = (source: string): boolean => !/<(img|iframe|hr)\b|!\[/i.test(source) && source.replace(/<!--[^]*?-->|<(style|script)\b[^]*?<\/\1>|<[^>]*>|&nbsp;/gi, '').trim() === '';

export function Text({ source, mode }: { source: string; mode: string }) {
  return (
    <div class="panel-text" tabIndex={0}>
      {wordless(source) && <span class="visually-hidden">No text.</span>}
      {mode === 'code' ? <pre>{source}</pre> : mode === 'html' ? parseHtml(source).children.map(draw) : markdown(source)}
    </div>
  );
}
