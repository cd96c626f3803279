import { render } from 'preact';
import './styles/base.css';
import './styles/explore.css';
import './styles/pages.css';
import { Shell } from './app/shell';

render(<Shell />, document.getElementById('app')!);
