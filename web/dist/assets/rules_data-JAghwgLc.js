import{g as a}from"./index-BPZ4_SNi.js";function u(r,o){return a("rules",r===""?{}:{type:r},o).then(t=>t.data.groups)}export{u as l};
