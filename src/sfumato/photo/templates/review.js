"use strict";
{% include "table.js" %}

{% include "photos.js" %}

{% include "films.js" %}
