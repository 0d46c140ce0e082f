/**
 * Text to token ids as Hugging Face's tokenizers makes them, of a tokenizer.json of BERT's kind: its normalizer, words and
 * punctuation, WordPiece, special tokens around, cut at a length. It knows no model and needs no library.
 */

// The tables in tokenizers are older than a JavaScript engine's. These marks, signs of punctuation and format characters came
// later and are letters to it; those of the second list it neither takes apart nor puts in order.
const LATER = String.raw`
  \u061d\u07fd\u0890-\u08e2\u09fd-\u09fe\u0a76\u0afa-\u0aff\u0b55\u0c04-\u0c3c\u0c77\u0c84\u0d00\u0d3b-\u0d3c\u0d81\u0eba
  \u0ece\u180f-\u1886\u1abf-\u1aeb\u1b4e-\u1b4f\u1b7d-\u1b7f\u1df6-\u1dfb\u2e43-\u2e5d\ua82c\ua8c5\ua8ff\ua9bd
  \u{105c9}-\u{105e4}\u{10d24}-\u{10f89}\u{11070}-\u{11074}\u{110c2}-\u{110cd}\u{111cf}\u{1123e}-\u{11241}\u{1133b}
  \u{11383}-\u{1145e}\u{11660}-\u{1166c}\u{116b9}\u{1182f}-\u{11fff}\u{12ff1}-\u{1612f}\u{16d68}-\u{16f4f}
  \u{16fe2}-\u{16fe4}\u{1cf00}-\u{1cf46}\u{1e000}-\u{1e6f5}\u{1e944}-\u{1e95f}
`.replace(/\s/g, "");
const WHOLE = String.raw`
  \u07fd\u0897-\u08d3\u09fe\u0c3c\u0d3b-\u0d3c\u0eba\u1715\u1abf-\u1aeb\u1df6-\u1dfa\ua82c\u{105c9}-\u{105e4}
  \u{10d24}-\u{10f85}\u{11070}\u{1133b}\u{11383}-\u{113d0}\u{1145e}\u{11839}-\u{11a99}\u{11d42}-\u{1612f}
  \u{16d68}-\u{16ff1}\u{1e08f}-\u{1e6f5}
`.replace(/\s/g, "");
const CONTROL = new RegExp(`(?![${LATER}\\t\\n\\r])[\\p{Cc}\\p{Cf}\\p{Co}\\ufffd]`, "gu");
const MARK = new RegExp(`(?![${LATER}\\u{111c9}])[\\p{Mn}\\u1734\\u{1171e}]`, "gu");
const PUNCTUATION = new RegExp(`(?![${LATER}])[!-/:-@\\[-\`{-~\\p{P}\\u166d\\u{111c9}]`, "gu");
const DECOMPOSED = new RegExp(`[^${WHOLE}]+`, "gu");
// https://en.wikipedia.org/wiki/CJK_Unified_Ideographs: each is a word of its own.
const IDEOGRAPH =
  /[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{2a6df}\u{2a700}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu;
const BLANKS = /\p{White_Space}+/u;
const LONE_SURROGATE = /\p{Surrogate}/gu;

/** A tokenizer that cuts at a length. */
export class WordPiece {
  /**
   * @param tokenizer what tokenizer.json holds, of a WordPiece model.
   * @param {number} length most tokens of a text.
   * @param {number} characters most characters of a text that are looked at.
   */
  constructor(tokenizer, length, characters) {
    const { model, normalizer, added_tokens, post_processor } = tokenizer;
    this.vocabulary = new Map(Object.entries(model.vocab));
    this.prefix = model.continuing_subword_prefix;
    this.longestWord = model.max_input_chars_per_word;
    this.unknown = this.vocabulary.get(model.unk_token);
    this.normalizer = normalizer;
    this.characters = characters;
    this.added = new Map((added_tokens ?? []).map(({ content, id }) => [content, id]));
    const contents = [...this.added.keys()].sort((a, b) => b.length - a.length); // of two that fit the longer one
    this.typed = new RegExp(`(${contents.map(escaped).join("|") || "(?!)"})`, "u");
    const { single, special_tokens } = post_processor;
    const around = single.map((part) => part.SpecialToken && special_tokens[part.SpecialToken.id].ids);
    const place = around.indexOf(undefined);
    this.before = around.slice(0, place).flat();
    this.after = around.slice(place + 1).flat();
    this.room = Math.max(0, length - this.before.length - this.after.length);
  }

  /** Token ids of a text, special tokens among them. */
  ids(text) {
    const own = [];
    for (const [i, part] of this.#start(text).split(this.typed).entries()) {
      if (i % 2) own.push(this.added.get(part)); // a special token that was typed
      else for (const word of words(part, this.normalizer)) own.push(...this.#pieces(word));
    }
    return [...this.before, ...own.slice(0, this.room), ...this.after];
  }

  /** What is looked at of a text: of a long one its start, lone surrogates replaced. */
  #start(text) {
    const most = this.characters; // of Unicode, which take one place of a string or two
    const start = text.length > most ? [...text.slice(0, 2 * most)].slice(0, most).join("") : text;
    return start.replace(LONE_SURROGATE, "\ufffd");
  }

  /** Ids of the longest pieces from left to right that make up a word; the unknown token's where none do. */
  #pieces(word) {
    const characters = [...word];
    if (characters.length > this.longestWord) return [this.unknown];
    const ids = [];
    for (let start = 0, end; start < characters.length; start = end) {
      const prefix = start ? this.prefix : "";
      const find = () => this.vocabulary.get(prefix + characters.slice(start, end).join(""));
      end = characters.length;
      while (end > start && find() === undefined) end--;
      if (end === start) return [this.unknown];
      ids.push(find());
    }
    return ids;
  }
}

/** Words and signs of punctuation of a text, normalized as BERT's normalizer is set. */
function words(text, { clean_text, handle_chinese_chars, strip_accents, lowercase }) {
  if (clean_text) text = text.replace(CONTROL, "");
  if (handle_chinese_chars) text = text.replace(IDEOGRAPH, " $& ");
  if (strip_accents ?? lowercase) text = text.replace(DECOMPOSED, (part) => part.normalize("NFD")).replace(MARK, "");
  if (lowercase) text = text.replaceAll("Σ", "σ").toLowerCase(); // a sigma at a word's end is like any other
  return text.replace(PUNCTUATION, " $& ").split(BLANKS).filter(Boolean);
}

function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}
