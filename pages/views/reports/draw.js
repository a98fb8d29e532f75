"use strict";
// Draws each chart from the specification beside it. No expression is compiled: Vega's interpreter walks them.
document.querySelectorAll(".curve").forEach((figure) => {
  const place = figure.querySelector(".chart");
  const spec = JSON.parse(figure.querySelector("script").textContent);
  const options = { renderer: "svg", ast: true, actions: { export: true, source: false, compiled: false, editor: false } };
  vegaEmbed(place, spec, options).catch((error) => {
    place.textContent = "This chart could not be drawn: " + error.message;
    console.error(error);
  });
});
