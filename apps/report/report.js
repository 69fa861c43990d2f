// Draws each chart of the page from the points beside it, in the reader's width: values under the pointer, curves that can
// be hidden, steps, time or tokens along the bottom, logarithms. Without it the charts stand as they came.
'use strict';
(() => {
  const clocks = JSON.parse(document.getElementById('clocks').textContent);
  const page = {axis: 'step', smoothing: 0, charts: []};

  const element = (name, attributes, parent, text) => {
    const made = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    if (text !== undefined) made.textContent = text;
    if (parent) parent.append(made);
    return made;
  };

  // The place of the last of the ascending `xs` that is at most x, and how far x is on the way to the next.
  const locate = (xs, x) => {
    let low = 0, high = xs.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (xs[middle] <= x) low = middle; else high = middle - 1;
    }
    const next = Math.min(low + 1, xs.length - 1);
    const way = xs[next] > xs[low] ? (x - xs[low]) / (xs[next] - xs[low]) : 0;
    return [low, next, Math.min(1, Math.max(0, way))];
  };
  const between = (xs, ys, x) => {
    const [low, next, way] = locate(xs, x);
    return ys[low] + way * (ys[next] - ys[low]);
  };

  // Numbers as people read them.
  const plain = (value) => {
    if (value === null || !isFinite(value)) return '-';
    const size = Math.abs(value);
    if (size >= 1e4 && size < 1e15 && Number.isInteger(value)) return value.toLocaleString('en-US');
    if (size !== 0 && (size < 1e-4 || size >= 1e6)) return value.toExponential(2).replace(/\.?0+e/, 'e').replace('+', '');
    return String(+value.toPrecision(4));
  };
  const large = (value) => {
    for (const [unit, size] of [['G', 1e9], ['M', 1e6], ['k', 1e3]])
      if (Math.abs(value) >= size) return +(value / size).toPrecision(3) + unit;
    return String(+value.toPrecision(3));
  };
  const clock = (seconds) => {
    if (seconds < 60) return +seconds.toPrecision(2) + ' s';
    const s = Math.round(seconds), pad = (n) => String(n).padStart(2, '0');
    return s < 3600 ? Math.floor(s / 60) + ':' + pad(s % 60)
      : Math.floor(s / 3600) + ':' + pad(Math.floor(s / 60) % 60) + ':' + pad(s % 60);
  };

  // Ticks at round numbers: 1, 2 or 5 times a power of ten; of time, what divides minutes and hours.
  const kTimes = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
  const roundStep = (range, wanted, time) => {
    const raw = range / Math.max(wanted, 1);
    if (time && raw >= 1) return kTimes.find((t) => t >= raw) || Math.ceil(raw / 86400) * 86400;
    const power = 10 ** Math.floor(Math.log10(raw)), multiple = raw / power;
    return power * (multiple <= 1.2 ? 1 : multiple <= 2.4 ? 2 : multiple <= 6 ? 5 : 10);
  };
  const linearTicks = (low, high, wanted, time) => {
    const step = roundStep(high - low, wanted, time), ticks = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; ++i) ticks.push(+(i * step).toPrecision(12));
    return ticks;
  };
  const logTicks = (low, high, wanted) => {
    const decades = Math.log10(high / low), ticks = [];
    if (decades < 0.7) return linearTicks(low, high, wanted, false);
    const stride = Math.max(1, Math.ceil(decades / (wanted + 1)));
    for (let d = Math.floor(Math.log10(low)); d <= Math.log10(high) + 1e-9; d += stride)
      for (const multiple of decades < 2.5 ? [1, 2, 5] : [1]) {
        const value = +(multiple * 10 ** d).toPrecision(12);
        if (value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9)) ticks.push(value);
      }
    return ticks;
  };

  // Each value's mean with its neighbours, as many on either side, so that no curve lags; at the end with those before it.
  const smoothed = (ys, span) => {
    const sums = [0];
    for (const y of ys) sums.push(sums[sums.length - 1] + y);
    return ys.map((_, i) => {
      const half = Math.min(i, Math.round(span)), end = Math.min(ys.length, i + half + 1);
      return (sums[end] - sums[i - half]) / (end - (i - half));
    });
  };

  class Chart {
    constructor(figure) {
      this.figure = figure;
      this.plot = figure.querySelector('.plot');
      this.data = JSON.parse(figure.querySelector('script').textContent);
      this.title = figure.querySelector('h3').textContent;
      this.readout = figure.querySelector('.readout');
      this.onClock = this.data.curves.some((c) => c.run >= 0);
      this.logY = this.data.logY;
      this.hidden = new Set();
      this.buttons = [...figure.querySelectorAll('.legend button')];
      for (const button of this.buttons)
        button.addEventListener('click', () => {
          const name = button.dataset.name;
          if (!this.hidden.delete(name)) this.hidden.add(name);
          button.setAttribute('aria-pressed', String(!this.hidden.has(name)));
          this.draw();
        });
      const log = figure.querySelector('.log');
      if (log) log.addEventListener('change', () => { this.logY = log.checked; this.draw(); });
    }

    // Where a step of a run lies on the axis that the reader chose.
    along(run, step) {
      if (page.axis === 'step' || run < 0 || !clocks[run]) return step;
      return between(clocks[run].step, clocks[run][page.axis], step);
    }

    draw(width) {
      const W = this.width = Math.max(240, Math.round(width || this.plot.clientWidth || 680));
      const small = this.figure.classList.contains('small');
      const H = small ? 210 : W < 480 ? 200 : 240;
      const box = this.box = {left: 54, right: W - 12, top: 12, bottom: H - 40};
      const logX = this.data.logX, logY = this.logY, time = this.onClock && page.axis === 'seconds';
      const good = (x, y) => y !== null && x !== null && !(logY && y <= 0) && !(logX && x <= 0);

      this.curves = this.data.curves.map((c) => {
        const xs = c.run < 0 ? c.x : c.x.map((step) => this.along(c.run, step));
        const span = c.noisy ? page.smoothing * c.y.length : 0;
        return {...c, xs, mean: span > 1 ? smoothed(c.y, span) : null};
      }).filter((c) => !this.hidden.has(c.name));

      // The ranges of the axes.
      let x0 = Infinity, x1 = -Infinity, y0 = Infinity, y1 = -Infinity;
      for (const c of this.curves)
        c.xs.forEach((x, k) => {
          for (const y of [c.y[k], c.low ? c.low[k] : null, c.high ? c.high[k] : null])
            if (good(x, y)) {
              x0 = Math.min(x0, x); x1 = Math.max(x1, x);
              y0 = Math.min(y0, y); y1 = Math.max(y1, y);
            }
        });
      if (x0 > x1) [x0, x1, y0, y1] = [logX ? 0.1 : 0, 1, logY ? 0.1 : 0, 1];
      if (this.onClock) [x0, x1] = page.range();
      if (this.data.xNames.length) { x0 = -0.5; x1 = this.data.xNames.length - 0.5; }
      if (this.data.fromZero && !logY) y0 = Math.min(0, y0);
      const widen = (low, high, log, least) => {
        if (high > low) return [low, high];
        return log ? [low / 2, high * 2] : [low - (Math.abs(low) / 2 || least), high + (Math.abs(high) / 2 || least)];
      };
      [x0, x1] = widen(x0, x1, logX, 1);
      [y0, y1] = widen(y0, y1, logY, 1);
      if (this.curves.some((c) => c.style === 'dots')) {  // none of them on the frame
        const pad = (low, high, log) => log ? [low / (high / low) ** 0.04, high * (high / low) ** 0.04]
          : [low - 0.04 * (high - low), high + 0.04 * (high - low)];
        if (!this.data.xNames.length) [x0, x1] = pad(x0, x1, logX);
        [y0, y1] = pad(y0, y1, logY);
      }
      const yWanted = Math.max(2, Math.round((box.bottom - box.top) / 45));
      if (logY) { const m = (y1 / y0) ** 0.03; y0 /= m; y1 *= m; }
      else {
        const step = roundStep(y1 - y0, yWanted, false), low = Math.floor(y0 / step + 1e-9) * step;
        y0 = y0 - low < 0.6 * step || this.data.fromZero ? low : y0 - 0.05 * step;
        y1 += Math.min(0.3 * step, Math.ceil(y1 / step - 1e-9) * step - y1);
      }
      const u = (v, log) => log ? Math.log10(v) : v;
      const X = this.X = (x) => box.left + (u(x, logX) - u(x0, logX)) / (u(x1, logX) - u(x0, logX)) * (box.right - box.left);
      const Y = (y) => box.bottom - (u(y, logY) - u(y0, logY)) / (u(y1, logY) - u(y0, logY)) * (box.bottom - box.top);
      this.unX = (px) => {
        const v = u(x0, logX) + (px - box.left) / (box.right - box.left) * (u(x1, logX) - u(x0, logX));
        return logX ? 10 ** v : v;
      };
      const n = (v) => v.toFixed(1);

      const svg = this.svg = element('svg', {viewBox: `0 0 ${W} ${H}`, width: W, height: H, role: 'img', tabindex: 0,
        'font-size': 12, 'aria-label': `${this.title}: chart; arrow keys read its values, the table below has some of them`});
      element('title', {}, svg, this.title);
      const ticksY = logY ? logTicks(y0, y1, yWanted) : linearTicks(y0, y1, yWanted, false);
      for (const y of ticksY) {
        element('line', {class: 'grid', x1: box.left, x2: box.right, y1: n(Y(y)), y2: n(Y(y))}, svg);
        element('text', {x: box.left - 7, y: n(Y(y) + 4), 'text-anchor': 'end'}, svg,
          Math.abs(y) >= 1e4 ? large(y) : plain(y));
      }
      const xWanted = Math.max(2, Math.floor(W / 90));
      const names = this.data.xNames;
      const ticksX = names.length ? names.map((_, i) => i) : logX ? logTicks(x0, x1, xWanted) : linearTicks(x0, x1, xWanted, time);
      let last = -Infinity;
      for (const x of ticksX) {
        let label = names.length ? names[x] : time ? clock(x) : this.onClock && page.axis === 'tokens' ? large(x) : plain(x);
        const room = names.length ? (box.right - box.left) / names.length / 7 : 12;
        if (label.length > room) label = label.slice(0, Math.max(1, room - 1)) + '…';
        const at = X(x), half = label.length * 3.6;
        element('line', {class: 'axis', x1: n(at), x2: n(at), y1: box.bottom, y2: box.bottom + 4}, svg);
        if (at - half < last + 6) continue;
        last = at + half;
        element('text', {x: n(Math.min(at, W - half - 1)), y: box.bottom + 17, 'text-anchor': 'middle'}, svg, label);
      }
      element('line', {class: 'axis', x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom}, svg);
      const below = this.onClock ? {step: this.data.xLabel, seconds: 'time in training steps', tokens: 'tokens'}[page.axis] : this.data.xLabel;
      element('text', {x: (box.left + box.right) / 2, y: H - 6, 'text-anchor': 'middle'}, svg, below);

      const rows = [];  // how far each row of the marks' labels is taken
      for (const [step, label] of this.data.marks) {
        const at = X(this.along(this.data.curves[0].run, step));
        element('line', {class: 'mark', x1: n(at), x2: n(at), y1: box.top, y2: box.bottom}, svg);
        if (!label) continue;
        const width = label.length * 5.8, left = at - 4 - width, fits = left >= box.left;
        let row = 0;
        while (rows[row] > (fits ? left : at + 4)) ++row;
        rows[row] = fits ? at - 4 : at + 4 + width;
        element('text', {x: n(fits ? at - 4 : at + 4), y: box.top + 8 + 12 * row, 'text-anchor': fits ? 'end' : 'start', 'font-size': 10.5}, svg, label);
      }
      for (const [y, label] of this.data.levels) {
        if (y < y0 || y > y1) continue;
        element('line', {class: 'level', x1: box.left, x2: box.right, y1: n(Y(y)), y2: n(Y(y))}, svg);
        element('text', {x: box.right - 2, y: n(Y(y) - 4), 'text-anchor': 'end', 'font-size': 10.5}, svg, label);
      }
      const clip = this.figure.id + '-clip';
      element('rect', {x: box.left, y: box.top - 4, width: box.right - box.left + 4, height: box.bottom - box.top + 5},
        element('clipPath', {id: clip}, element('defs', {}, svg)));
      const inside = element('g', {'clip-path': `url(#${clip})`}, svg);
      for (const c of this.curves) {
        const group = element('g', {class: `c${c.colour % 6}`}, inside);
        const dash = c.colour >= 6 ? {'stroke-dasharray': '7 3'} : {};
        const path = (ys) => {
          let d = '', open = false;
          c.xs.forEach((x, k) => {
            if (!good(x, ys[k])) { open = false; return; }
            if (open && c.style === 'steps') d += `H${n(X(x))}`;
            d += `${open ? 'L' : 'M'}${n(X(x))},${n(Y(ys[k]))}`;
            open = true;
          });
          return d;
        };
        if (c.low) {
          const some = c.xs.map((_, k) => k).filter((k) => good(c.xs[k], c.low[k]) && good(c.xs[k], c.high[k]));
          const edge = (ys, order) => order.map((k) => `${n(X(c.xs[k]))},${n(Y(ys[k]))}`).join('L');
          if (some.length) element('path', {class: 'band', d: `M${edge(c.high, some)}L${edge(c.low, [...some].reverse())}Z`}, group);
        }
        if (c.style !== 'dots') element('path', {class: c.mean ? 'curve faint' : 'curve', d: path(c.y), ...dash}, group);
        if (c.mean) element('path', {class: 'curve', d: path(c.mean), ...dash}, group);
        const spots = c.style === 'dots' || c.xs.length === 1 || (c.style === 'dotted' && c.xs.length * 9 < W);
        if (spots)
          c.xs.forEach((x, k) => {
            if (good(x, c.y[k])) element('circle', {class: 'spot', cx: n(X(x)), cy: n(Y(c.y[k])), r: c.style === 'dots' ? 4 : 3}, group);
          });
      }
      this.cross = element('g', {visibility: 'hidden'}, svg);
      svg.addEventListener('pointermove', (event) => this.point(event));
      svg.addEventListener('pointerdown', (event) => this.point(event));
      svg.addEventListener('pointerleave', () => page.charts.forEach((chart) => chart.leave()));
      svg.addEventListener('keydown', (event) => {
        const way = {ArrowLeft: -1, ArrowRight: 1}[event.key];
        if (!way) return;
        event.preventDefault();
        this.at = Math.min(box.right, Math.max(box.left, (this.at || box.left) + way * (box.right - box.left) / 100));
        this.show(this.unX(this.at));
      });
      this.plot.replaceChildren(svg);
      this.leave();
    }

    point(event) {
      const frame = this.svg.getBoundingClientRect(), scale = this.width / frame.width;
      this.at = (event.clientX - frame.left) * scale;
      const atY = (event.clientY - frame.top) * scale;
      if (this.at < this.box.left - 8 || this.at > this.box.right + 8) return;
      const x = this.unX(Math.min(this.box.right, Math.max(this.box.left, this.at)));
      if (!this.onClock) { this.show(x, atY); return; }
      for (const chart of page.charts) if (chart.onClock) chart.show(x);
    }

    // The curves' values at x, in the legend and on the chart.
    show(x, atY) {
      this.cross.replaceChildren();
      this.cross.setAttribute('visibility', 'visible');
      const scattered = this.curves.filter((c) => c.style === 'dots');
      if (!this.onClock && scattered.length) { this.showNearest(x, atY); return; }
      const at = this.X(x);
      element('line', {class: 'cross', x1: at, x2: at, y1: this.box.top, y2: this.box.bottom}, this.cross);
      let said = this.onClock ? {step: 'step ' + Math.round(x).toLocaleString('en-US'), seconds: clock(x), tokens: large(x) + ' tokens'}[page.axis]
        : `${this.data.xLabel} ${plain(x)}`;
      for (const c of this.curves) {
        if (!c.xs.length) continue;
        const [low, next, way] = locate(c.xs, x), inside = x >= c.xs[0] - 1e-9 && x <= c.xs[c.xs.length - 1] + 1e-9;
        const k = way > 0.5 ? next : low, ys = c.mean || c.y;
        const value = !inside && c.xs.length > 1 ? null : c.style === 'line' && !c.noisy ? between(c.xs, ys, x)
          : c.style === 'steps' ? ys[low] : ys[k];
        this.say(c, value);
      }
      this.readout.textContent = said;
    }

    showNearest(x, atY) {
      let best = null, least = Infinity;
      for (const circle of this.svg.querySelectorAll('.spot')) {
        const d = Math.hypot(circle.getAttribute('cx') - this.X(x), atY === undefined ? 0 : circle.getAttribute('cy') - atY);
        if (d < least) { least = d; best = circle; }
      }
      if (!best) return;
      const group = best.parentNode, curve = this.curves[[...group.parentNode.children].indexOf(group)];
      const k = [...group.querySelectorAll('.spot')].indexOf(best);
      element('circle', {class: 'cross', cx: best.getAttribute('cx'), cy: best.getAttribute('cy'), r: 7, fill: 'none'}, this.cross);
      this.readout.textContent = curve.words ? curve.words[k]
        : `${this.data.xLabel} ${this.data.xNames[curve.x[k]] || plain(curve.x[k])}: ${plain(curve.y[k])}`;
    }

    say(curve, value) {
      const button = this.buttons.find((b) => b.dataset.name === curve.name);
      if (button && this.data.curves.filter((c) => c.name === curve.name).length === 1) button.querySelector('b').textContent = value === null || value === undefined ? '' : plain(value);
    }

    leave() {
      this.cross.setAttribute('visibility', 'hidden');
      this.readout.textContent = '';
      for (const c of this.curves) {
        const ys = c.mean || c.y;
        this.say(c, c.style === 'dots' ? null : ys[ys.length - 1]);
      }
    }
  }

  // What all charts of runs have along the bottom, so that they lie under one another.
  page.range = () => {
    let low = page.axis === 'step' ? Infinity : 0, high = -Infinity;
    for (const chart of page.charts)
      for (const c of chart.onClock ? chart.data.curves : []) {
        low = Math.min(low, chart.along(c.run, c.x[0]));
        high = Math.max(high, chart.along(c.run, c.x[c.x.length - 1]));
      }
    return [low, high];
  };

  page.charts = [...document.querySelectorAll('figure.chart')].map((figure) => new Chart(figure));
  const draw = (width) => page.charts.forEach((chart) => chart.draw(width));
  for (const choice of document.querySelectorAll('input[name=axis]'))
    choice.addEventListener('change', () => { page.axis = choice.value; draw(); });
  const smoothing = document.getElementById('smoothing');
  if (smoothing) {
    page.smoothing = +smoothing.value;
    smoothing.addEventListener('change', () => { page.smoothing = +smoothing.value; draw(); });
  }
  const pair = document.getElementById('pair');
  if (pair) {
    const choose = () => {
      for (const one of document.querySelectorAll('[data-pair]')) one.hidden = one.dataset.pair !== pair.value;
    };
    pair.addEventListener('change', choose);
    choose();
  }
  document.documentElement.classList.add('scripted');
  draw();
  let seen = window.innerWidth;
  window.addEventListener('resize', () => {
    if (window.innerWidth !== seen) { seen = window.innerWidth; draw(); }
  });
  window.addEventListener('beforeprint', () => page.charts.forEach((c) => c.draw(c.figure.classList.contains('small') ? 330 : 680)));
  window.addEventListener('afterprint', () => draw());
})();
