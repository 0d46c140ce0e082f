/** Comma-separated values, read and written. */

/** Records of a text, each an array of its cells; blank lines are passed over. Throws where a quote stays open. */
export function parse(text) {
  const records = [];
  let record = [], cell = "", quoted = false, fresh = true; // fresh: nothing but blanks in this cell yet
  const end = () => {
    record.push(cell);
    [cell, fresh] = ["", true];
  };
  const endRecord = () => {
    cell = cell.replace(/\r$/, "");
    end();
    if (record.length > 1 || record[0].trim()) records.push(record);
    record = [];
  };
  text = text.replace(/^\ufeff/, "");
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c !== '"') cell += c;
      else if (text[i + 1] === '"') cell += text[++i];
      else quoted = false;
    } else if (c === '"' && fresh) [quoted, fresh] = [true, false];
    else if (c === ",") end();
    else if (c === "\n") endRecord();
    else if (!(fresh && c === " ")) [cell, fresh] = [cell + c, false];
  }
  if (quoted) throw new Error("a quote is opened and not closed");
  if (cell || record.length) endRecord();
  return records;
}

/** Objects by the header's names; a column without a name is called by its place. Throws where a row has too few cells. */
export function parseRows(text) {
  const [header, ...records] = parse(text);
  if (!header) throw new Error("the file is empty");
  const names = header.map((name, i) => name.trim() || `column_${i + 1}`);
  return records.map((record, r) => {
    if (record.length < names.length) {
      throw new Error(`row ${r + 1} has ${record.length} cells, the header ${names.length}`);
    }
    return Object.fromEntries(names.map((name, i) => [name, record[i]]));
  });
}

/** Cells as a line; numbers with six digits. */
export function format(cells) {
  return cells.map((cell) => (typeof cell === "number" ? sixDigits(cell) : quote(cell))).join(",");
}

function quote(cell) {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

/** As C's %.6g. */
function sixDigits(value) {
  const [digits, exponent] = value.toExponential(5).split("e");
  const power = Number(exponent);
  if (power >= -4 && power < 6) return trimmed(value.toFixed(5 - power));
  return `${trimmed(digits)}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}

function trimmed(digits) {
  return digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits;
}
