/** Classes and their probabilities as a list: a name, a bar and per cent a line, the likeliest first. */

/** The lines for an element of the class "bars". */
export function bars(probabilities, most) {
  const sorted = Object.entries(probabilities).sort(([, p], [, q]) => q - p);
  return sorted.slice(0, most).map(line);
}

function line([name, probability]) {
  const item = document.createElement("li");
  const [label, bar, percent] = ["span", "div", "span"].map((tag) => document.createElement(tag));
  label.textContent = name;
  bar.style.setProperty("--share", `${100 * probability}%`);
  percent.textContent = inPercent(probability);
  item.append(label, bar, percent);
  return item;
}

/** A probability as people read it. */
export function inPercent(probability) {
  return `${(100 * probability).toFixed(1)} %`;
}
