// Draws the chart named by an element's `chart` attribute, again whenever that or the colour scheme changes.
// Expressions run in Vega's interpreter (`ast`), so that the page's policy can forbid eval.
const dark = matchMedia("screen and (prefers-color-scheme: dark)");

const given = (name) => JSON.parse(document.querySelector(`meta[name=${name}]`)?.content ?? "{}");
const themes = given("chart-themes");
const locale = given("chart-locale"); // numbers and dates of the page's language

class VegaChart extends HTMLElement {
  static observedAttributes = ["chart"];

  connectedCallback() {
    dark.addEventListener("change", this.draw);
    this.draw();
  }

  disconnectedCallback() {
    dark.removeEventListener("change", this.draw);
    this.drawn?.finalize();
    this.drawn = null;
  }

  attributeChangedCallback(name, before) {
    if (before !== null) this.draw();
  }

  draw = async () => {
    if (!this.isConnected) return;
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const spec = JSON.parse(this.getAttribute("chart"));
    const place = document.createElement("div");
    place.className = "plot";
    place.style.visibility = "hidden";
    this.append(place);
    const drawn = await vegaEmbed(place, spec, {
      mode: "vega-lite",
      renderer: "svg",
      ast: true,
      actions: false,
      defaultStyle: false,
      ...locale,
      tooltip: { disableDefaultStyle: true, theme: dark.matches ? "dark" : "light" },
      config: themes[dark.matches ? "dark" : "light"],
    });
    if (turn !== this.turn) {
      drawn.finalize();
      place.remove();
      return;
    }
    this.drawn?.finalize();
    this.drawn = drawn;
    place.style.visibility = "";
    this.replaceChildren(place);
  };
}

customElements.define("vega-chart", VegaChart);
