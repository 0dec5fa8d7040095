//! Charts as SVG. The plot stretches with the page, its labels are HTML beside it, so that text has one size at every width.

use std::fmt::Write as _;

use super::page::escaped;

/// The plot's own units; it is stretched to whatever the page gives it.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 400.0;

/// Lines that have a colour of their own.
pub const LINES_MAX: usize = 8;

/// One line of a chart.
pub struct Series<'a> {
    /// Its name in the legend.
    pub name: &'a str,
    /// One value for each x.
    pub values: Vec<f64>,
}

/// How high a value is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// From 0.
    Linear,
    /// A tenfold is always as high; values below 1 lie at the bottom.
    Log,
}

/// A chart of lines over time.
pub struct LineChart<'a> {
    /// Names its parts in the page.
    pub id: &'a str,
    /// What it shows.
    pub title: &'a str,
    /// What is to be seen in it, in a sentence, for people who do not see it.
    pub summary: String,
    /// Seconds since the start, rising.
    pub seconds: Vec<f64>,
    /// At most [`LINES_MAX`].
    pub series: Vec<Series<'a>>,
    /// The vertical scale.
    pub scale: Scale,
    /// How a value is written.
    pub show: fn(f64) -> String,
}

/// Where the lines at the left edge are, lowest first.
pub fn ticks(scale: Scale, max: f64, min: f64) -> Vec<f64> {
    match scale {
        Scale::Linear => {
            let rough = (max / 4.0).max(f64::MIN_POSITIVE);
            let magnitude = 10_f64.powf(rough.log10().floor());
            let step = [1.0, 2.0, 2.5, 5.0, 10.0]
                .into_iter()
                .map(|n| n * magnitude)
                .find(|s| *s >= rough)
                .unwrap_or(rough);
            let count = (max / step).ceil().max(1.0) as usize;
            (0..=count).map(|n| n as f64 * step).collect()
        }
        Scale::Log => {
            let low = min.max(1.0).log10().floor() as i32;
            let high = (max.max(1.0).log10().ceil() as i32).max(low + 1);
            (low..=high).map(|n| 10_f64.powi(n)).collect()
        }
    }
}

/// From 0 at the bottom tick to 1 at the top one.
fn height(scale: Scale, ticks: &[f64], value: f64) -> f64 {
    let (low, high) = (ticks[0], ticks[ticks.len() - 1]);
    let share = match scale {
        Scale::Linear => (value - low) / (high - low),
        Scale::Log => (value.max(1.0) / low).log10() / (high / low).log10(),
    };
    share.clamp(0.0, 1.0)
}

impl LineChart<'_> {
    /// The chart as a figure; nothing when there is nothing to draw.
    pub fn draw(&self) -> String {
        let values = || self.series.iter().flat_map(|s| &s.values).copied();
        let Some(&end) = self.seconds.last() else {
            return String::new();
        };
        let max = values().fold(0.0, f64::max);
        let min = values()
            .filter(|v| *v > 0.0)
            .fold(f64::INFINITY, f64::min)
            .min(max.max(1.0));
        let ticks = ticks(self.scale, if max > 0.0 { max } else { 1.0 }, min);
        let mut plot = String::new();
        for tick in &ticks {
            let y = HEIGHT * (1.0 - height(self.scale, &ticks, *tick));
            let _ = write!(plot, r#"<path class="grid" d="M0 {y:.1}H{WIDTH}"/>"#);
        }
        let x = |s: f64| WIDTH * (s / end.max(1e-9)).clamp(0.0, 1.0);
        for (n, series) in self.series.iter().enumerate() {
            let mut path = String::new();
            for (s, v) in self.seconds.iter().zip(&series.values) {
                let y = HEIGHT * (1.0 - height(self.scale, &ticks, *v));
                let _ = write!(
                    path,
                    "{}{:.1} {y:.1}",
                    if path.is_empty() { 'M' } else { 'L' },
                    x(*s)
                );
            }
            // A single point is a line of no length; a round cap makes it seen.
            let _ = write!(path, "h0");
            let _ = write!(plot, r#"<path class="line l{n}" d="{path}"/>"#);
        }
        let mut from = 0.0;
        for (i, s) in self.seconds.iter().enumerate() {
            let next = self.seconds.get(i + 1).map_or(WIDTH, |n| x((s + n) / 2.0));
            let said = self.said(i);
            let _ = write!(
                plot,
                r#"<rect class="hit" x="{from:.1}" y="0" width="{:.1}" height="{HEIGHT}"><title>{}</title></rect>"#,
                (next - from).max(0.0),
                escaped(&said)
            );
            from = next;
        }
        let labels = ticks
            .iter()
            .map(|t| (1.0 - height(self.scale, &ticks, *t), (self.show)(*t)));
        figure(
            self.id,
            self.title,
            &self.summary,
            &self.legend(),
            &plot,
            labels,
            &time_labels(end),
        )
    }

    /// What the chart says at a point.
    fn said(&self, i: usize) -> String {
        let mut said = format!("{:.0} s", self.seconds[i]);
        for series in &self.series {
            if let Some(v) = series.values.get(i) {
                let _ = write!(said, " · {} {}", series.name, (self.show)(*v));
            }
        }
        said
    }

    /// Each line can be taken out, by the style sheet alone.
    fn legend(&self) -> String {
        let mut legend = String::new();
        for (n, series) in self.series.iter().enumerate() {
            let _ = write!(
                legend,
                r#"<label><input type="checkbox" class="t{n}" checked><i class="key k{n}"></i>{}</label>"#,
                escaped(series.name)
            );
        }
        legend
    }
}

/// Labels under a chart over `end` seconds: where (0 to 1) and what.
fn time_labels(end: f64) -> Vec<(f64, String)> {
    let ticks = ticks(Scale::Linear, end, 0.0);
    let inside = ticks.into_iter().filter(|t| *t <= end * 0.97);
    let mut labels: Vec<_> = inside.map(|t| (t / end.max(1e-9), format!("{t}"))).collect();
    labels.push((1.0, format!("{end:.0} s")));
    if labels.len() > 2 && labels[labels.len() - 2].0 > 0.88 {
        labels.remove(labels.len() - 2);
    }
    labels
}

/// A bar of a [`bars`] chart.
pub struct Bar {
    /// Its height.
    pub value: f64,
    /// What it says.
    pub said: String,
}

/// A chart of bars side by side, with labels and marks at shares of its width.
pub fn bars(
    (id, title, summary): (&str, &str, &str),
    bars: &[Bar],
    labels: &[(f64, String)],
    marks: &[(f64, String)],
    show: fn(f64) -> String,
) -> String {
    let max = bars.iter().map(|b| b.value).fold(0.0, f64::max);
    let ticks = ticks(Scale::Linear, if max > 0.0 { max } else { 1.0 }, 0.0);
    let mut plot = String::new();
    for tick in &ticks {
        let y = HEIGHT * (1.0 - height(Scale::Linear, &ticks, *tick));
        let _ = write!(plot, r#"<path class="grid" d="M0 {y:.1}H{WIDTH}"/>"#);
    }
    let step = WIDTH / bars.len().max(1) as f64;
    for (n, bar) in bars.iter().enumerate() {
        let x = n as f64 * step;
        if bar.value > 0.0 {
            // One request of a million is still something: at least a hair is drawn.
            let tall = (HEIGHT * height(Scale::Linear, &ticks, bar.value)).max(3.0);
            let (x, y, width) = (x + step * 0.06, HEIGHT - tall, step * 0.88);
            let _ = write!(
                plot,
                r#"<rect class="bar" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{tall:.1}"/>"#
            );
        }
        let _ = write!(
            plot,
            r#"<rect class="hit" x="{x:.1}" y="0" width="{step:.1}" height="{HEIGHT}"><title>{}</title></rect>"#,
            escaped(&bar.said)
        );
    }
    let mut legend = String::new();
    for (n, (at, said)) in marks.iter().enumerate() {
        let _ = write!(
            plot,
            r#"<path class="mark l{n}" d="M{:.1} 0V{HEIGHT}"/>"#,
            at * WIDTH
        );
        let _ = write!(
            legend,
            r#"<span><i class="key k{n}"></i>{}</span>"#,
            escaped(said)
        );
    }
    let left = ticks
        .iter()
        .map(|t| (1.0 - height(Scale::Linear, &ticks, *t), show(*t)));
    figure(id, title, summary, &legend, &plot, left, labels)
}

/// Plot, legend and labels; `left` and `under` are shares of the height from the top and of the width.
fn figure(
    id: &str,
    title: &str,
    summary: &str,
    legend: &str,
    plot: &str,
    left: impl Iterator<Item = (f64, String)>,
    under: &[(f64, String)],
) -> String {
    let (title, summary) = (escaped(title), escaped(summary));
    let mut html = format!(
        r#"<figure id="{id}"><figcaption>{title}</figcaption><div class="legend">{legend}</div><div class="chart"><div class="left" aria-hidden="true">"#
    );
    for (at, label) in left {
        let _ = write!(
            html,
            r#"<span style="top:{:.2}%">{}</span>"#,
            at * 100.0,
            escaped(&label)
        );
    }
    let _ = write!(
        html,
        r#"</div><svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" tabindex="0" aria-labelledby="{id}-t {id}-d"><title id="{id}-t">{title}</title><desc id="{id}-d">{summary}</desc>{plot}</svg><div class="under" aria-hidden="true">"#
    );
    for (at, label) in under {
        let edge = if *at > 0.99 { r#" class="end""# } else { "" };
        let _ = write!(
            html,
            r#"<span{edge} style="left:{:.2}%">{}</span>"#,
            at * 100.0,
            escaped(label)
        );
    }
    html.push_str(r#"</div></div><p class="readout" aria-live="polite"></p></figure>"#);
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_reach_over_the_highest_value_in_round_steps() {
        assert_eq!(
            ticks(Scale::Linear, 12_000.0, 0.0),
            [0.0, 5000.0, 10_000.0, 15_000.0]
        );
        assert_eq!(
            ticks(Scale::Linear, 0.8, 0.0),
            [0.0, 0.2, 0.4, 0.6000000000000001, 0.8]
        );
        assert_eq!(
            ticks(Scale::Log, 25_000.0, 300.0),
            [100.0, 1000.0, 10_000.0, 100_000.0]
        );
        assert_eq!(ticks(Scale::Log, 1.0, 1.0), [1.0, 10.0]);
    }

    #[test]
    fn a_chart_of_one_second_or_of_zeros_has_no_nan() {
        for (seconds, values) in [(vec![1.0], vec![5.0]), (vec![0.0, 0.0], vec![0.0, 0.0])] {
            for scale in [Scale::Linear, Scale::Log] {
                let chart = LineChart {
                    id: "x",
                    title: "x",
                    summary: String::new(),
                    seconds: seconds.clone(),
                    series: vec![Series {
                        name: "a",
                        values: values.clone(),
                    }],
                    scale,
                    show: |v| format!("{v}"),
                };
                let drawn = chart.draw();
                assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
            }
        }
    }
}
