"""Okabe and Ito's colours, which colour-blind readers can tell apart."""

BLACK, GREY, BLUE, SKY = "#222222", "#999999", "#0072B2", "#56B4E9"
ORANGE, VERMILION, GREEN, PURPLE = "#E69F00", "#D55E00", "#009E73", "#CC79A7"
